"""What each provider documents about usage, whole and streamed, is what the record says."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Gateway, endpoint, openai_endpoint, running_gateway
from support.hostile_server import HostileServer, hostile_server, http, stream
from support.provider_answers import ALL, Documented

FACTS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "output_audio_tokens",
    "service_tier",
    "provider_cost_usd",
    "response_model",
)

# MLflow has no setting for where these three are; without one, the test would call the real ones.
_REDIRECT = """
from mlflow.gateway.providers.bedrock import AmazonBedrockProvider
from mlflow.gateway.providers.gemini import GeminiProvider
from mlflow.gateway.providers.mistral import MistralProvider
for provider in (GeminiProvider, MistralProvider):
    provider.base_url = property(lambda self: "{url}")
AmazonBedrockProvider._get_token_auth_base_url = lambda self: "{url}"
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: HostileServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    url = f"{upstream.url}/v1"
    azure = {
        "openai_api_type": "azure",
        "openai_api_key": "$PROVIDER_KEY",
        "openai_api_base": upstream.url,
        "openai_deployment_name": "production",
        "openai_api_version": "2024-10-21",
    }
    like_openai = {"api_key": "$PROVIDER_KEY", "api_base": url}
    token = {"aws_config": {"aws_region": "eu-central-1", "aws_bearer_token": "bedrock-api-key-1"}}
    config = {
        "endpoints": [
            openai_endpoint("openai", url),
            endpoint("azure", "chat", "openai", "gpt-4o", **azure),
            endpoint(
                "anthropic",
                "chat",
                "anthropic",
                "claude",
                anthropic_api_key="$PROVIDER_KEY",
                anthropic_api_base=url,
            ),
            endpoint("groq", "chat", "groq", "llama", **like_openai),
            endpoint("deepseek", "chat", "deepseek", "deepseek-reasoner", **like_openai),
            endpoint("openrouter", "chat", "openrouter", "anthropic/claude-sonnet-4.5", **like_openai),
            endpoint("mistral", "chat", "mistral", "mistral-large-latest", mistral_api_key="$PROVIDER_KEY"),
            endpoint("gemini", "chat", "gemini", "gemini-2.5-flash", gemini_api_key="$PROVIDER_KEY"),
            endpoint("bedrock", "chat", "bedrock", "anthropic.claude-3-haiku-20240307-v1:0", **token),
        ]
    }
    directory = tmp_path_factory.mktemp("redirect")
    Path(directory, "sitecustomize.py").write_text(_REDIRECT.format(url=url))
    with running_gateway(config, PYTHONPATH=f"{directory}:{os.environ.get('PYTHONPATH', '')}") as running:
        yield running


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_the_record_says_what_the_provider_counted(
    gateway: Gateway, upstream: HostileServer, case: Documented
) -> None:
    upstream.will(stream(*case.events) if case.events else http(200, case.body))
    answer = gateway.chat("hello", case.endpoint, stream=bool(case.events))
    assert answer.status_code == 200, answer.text
    assert answer.content
    record = gateway.record_of(answer)
    expected: dict[str, Any] = dict.fromkeys(FACTS) | case.counted
    assert {name: record[name] for name in FACTS} == expected
    assert (record["usage_source"], record["finish_reason"]) == ("provider", "stop")
    assert (record["http_status"], record["error_class"]) == (200, None)
    assert record["provider"] == case.endpoint
