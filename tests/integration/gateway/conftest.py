"""One emulator and one gateway before it, for the tests that break neither."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.emulator import Emulator, running_emulator
from support.gateway import Gateway, endpoint, openai_endpoint, running_gateway


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture(scope="session")
def config(emulator: Emulator) -> dict[str, Any]:
    azure = {
        "openai_api_type": "azure",
        "openai_api_key": "$PROVIDER_KEY",
        "openai_api_base": emulator.base_url,
        "openai_deployment_name": "production",
        "openai_api_version": "2024-10-21",
    }
    claude = {"anthropic_api_key": "$PROVIDER_KEY", "anthropic_api_base": emulator.openai_url}
    limited = openai_endpoint("limited", emulator.openai_url)
    limited["limit"] = {"calls": 1, "renewal_period": "hour"}
    return {
        "endpoints": [
            openai_endpoint("chat", emulator.openai_url),
            openai_endpoint("mini", emulator.openai_url, model="gpt-4o-mini"),
            openai_endpoint("text", emulator.openai_url, "completions", "gpt-3.5-turbo-instruct"),
            openai_endpoint("vectors", emulator.openai_url, "embeddings", "text-embedding-3-small"),
            openai_endpoint("refused", "http://127.0.0.1:9/v1"),
            endpoint("claude", "chat", "anthropic", "claude-sonnet-4-5", **claude),
            endpoint("azure", "chat", "openai", "gpt-4o", **azure),
            limited,
        ],
        "routes": [
            {
                "name": "split",
                "task_type": "llm/v1/chat",
                "destinations": [
                    {"name": "chat", "traffic_percentage": 0},
                    {"name": "mini", "traffic_percentage": 100},
                ],
            }
        ],
    }


@pytest.fixture(scope="session")
def gateway(config: dict[str, Any]) -> Iterator[Gateway]:
    with running_gateway(config) as running:
        yield running
