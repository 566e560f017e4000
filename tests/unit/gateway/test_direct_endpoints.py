"""A call without an adapter is the one that MLflow's own provider makes: same URL, credentials and body."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from mlflow.gateway.app import create_app_from_config
from mlflow.gateway.config import GatewayConfig
from mlflow.gateway.providers import utils
from mlflow.gateway.schemas import chat, completions, embeddings
from mlflow.utils.uri import append_to_uri_path

from gateway_serve.direct_endpoint import DirectEndpoint, direct_endpoints
from support.gateway import endpoint

AZURE = {
    "openai_api_key": "k",
    "openai_api_base": "https://x.openai.azure.com",
    "openai_deployment_name": "production",
    "openai_api_version": "2024-10-21",
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("openai", {"openai_api_key": "k"}),
    "organisation": (
        "openai",
        {"openai_api_key": "k", "openai_organization": "o", "openai_api_base": "http://a/v1/"},
    ),
    "version": (
        "openai",
        {"openai_api_key": "k", "openai_api_version": "7", "openai_api_base": "http://a/v1"},
    ),
    "azure": ("openai", AZURE | {"openai_api_type": "azure"}),
    "azuread": ("openai", AZURE | {"openai_api_type": "AzureAD"}),
    "mistral": ("mistral", {"mistral_api_key": "k"}),
    "groq": ("groq", {"api_key": "k"}),
    "deepseek": ("deepseek", {"api_key": "k", "api_base": "https://d/beta"}),
    "xai": ("xai", {"api_key": "k"}),
    "openrouter": ("openrouter", {"api_key": "k"}),
    "portkey": ("portkey", {"api_key": "k", "portkey_provider": "@p", "provider_api_key": "u"}),
}
# MLflow has completions for these alone.
COMPLETE = {"openai", "organisation", "version", "azure", "azuread"}
CALLS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "a chat": ("chat", chat, {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.5}),
    "a stream": ("chat", chat, {"messages": [{"role": "user", "content": "hello"}], "stream": True}),
    "a stream with options": (
        "chat",
        chat,
        {
            "messages": [{"role": "assistant", "content": None}, {"role": "user", "content": "hello"}],
            "stream": True,
            "stream_options": {"include_obfuscation": False},
            "stop": None,
            "seed": 7,
        },
    ),
    "a completion": ("completions", completions, {"prompt": "hello", "max_tokens": 5, "stop": ["x"]}),
    "a stream of a completion": ("completions", completions, {"prompt": "hello", "stream": True}),
    "vectors": ("embeddings", embeddings, {"input": ["a", "b"], "dimensions": 8}),
}


class _AskedError(Exception):
    """MLflow was about to send its request."""


def both(
    monkeypatch: pytest.MonkeyPatch, config: str, call: str
) -> tuple[tuple[str, dict[str, str], Any], tuple[str, dict[str, str], Any]]:
    """Return URL, headers and body of MLflow's request and of ours."""
    operation, schema, body = CALLS[call]
    provider_name, settings = CONFIGS[config]
    monkeypatch.setenv("MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV", "true")
    one = endpoint("it", operation, provider_name, "model-1", **settings)
    app = create_app_from_config(GatewayConfig(endpoints=[one]))  # type: ignore[list-item]
    asked: list[Any] = []

    @asynccontextmanager
    async def ask(headers: Any, base: str, path: str, payload: Any, **_more: Any) -> Any:
        asked.append((append_to_uri_path(base, path), headers, payload))
        raise _AskedError
        yield

    monkeypatch.setattr(utils, "_aiohttp_post", ask)

    async def let_mlflow_ask() -> None:
        provider, _ = app._get_provider_by_name("it")
        payload = schema.RequestPayload(**body)
        if body.get("stream"):
            async for _ in getattr(provider, f"{operation}_stream")(payload):
                pass
        else:
            await getattr(provider, operation)(payload)

    with pytest.raises(_AskedError):
        asyncio.run(let_mlflow_ask())
    direct = direct_endpoints(app)[operation, "it"]
    assert isinstance(direct, DirectEndpoint)
    text = json.dumps({"model": "it", **body}).encode()
    request = direct.request(text, json.loads(text), by_name=False)
    assert request is not None
    return asked[0], (direct.target.url, dict(direct.target.headers), orjson.loads(request.body))


@pytest.mark.parametrize(
    ("config", "call"),
    [
        (config, call)
        for config in CONFIGS
        for call, (operation, _, _) in CALLS.items()
        if operation != "completions" or config in COMPLETE
    ],
)
def test_the_request_is_mlflows(monkeypatch: pytest.MonkeyPatch, config: str, call: str) -> None:
    (url, headers, body), (our_url, our_headers, our_body) = both(monkeypatch, config, call)
    assert our_url == url
    our_headers.pop("User-Agent")
    assert our_headers == headers
    if CALLS[call][0] != "embeddings":
        assert body.pop("n") == 1  # the default, which MLflow says and we do not
    assert our_body == body


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"role": "user"}], "temperature": "0.5"},
        {"messages": [{"role": "user"}], "temperature": 3},
        {"messages": [{"role": "user"}], "tools": [{"type": "browser"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user"}], "stream": "true"},
    ],
)
def test_what_mlflow_refuses_or_converts_is_left_to_it(body: dict[str, Any]) -> None:
    one = endpoint("it", "chat", "openai", "m", openai_api_key="k")
    app = create_app_from_config(GatewayConfig(endpoints=[one]))  # type: ignore[list-item]
    direct = direct_endpoints(app)["chat", "it"]
    assert isinstance(direct, DirectEndpoint)
    text = json.dumps({"model": "it", **body}).encode()
    assert direct.request(text, json.loads(text), by_name=False) is None
    named = {"model": "it", "messages": [{"role": "user", "content": "x"}]}
    assert direct.request(json.dumps(named).encode(), named, by_name=True) is None


def test_a_route_is_direct_only_where_all_its_endpoints_are() -> None:
    ends = [
        endpoint("a", "chat", "openai", "m", openai_api_key="k"),
        endpoint("b", "chat", "groq", "m", api_key="k"),
        endpoint("c", "chat", "togetherai", "m", togetherai_api_key="k"),
    ]

    def route(name: str, **parts: int) -> dict[str, Any]:
        shares = [{"name": end, "traffic_percentage": share} for end, share in parts.items()]
        return {"name": name, "task_type": "llm/v1/chat", "destinations": shares}

    routes = [route("both", a=30, b=70), route("mixed", a=50, c=50), route("never", a=100, c=0)]
    app = create_app_from_config(GatewayConfig(endpoints=ends, routes=routes))  # type: ignore[list-item, arg-type]
    direct = direct_endpoints(app)
    assert {name for operation, name in direct if operation == "chat"} == {"a", "b", "both", "never"}
    chosen = [direct["chat", "both"].choose().endpoint.name for _ in range(2000)]
    assert 400 < chosen.count("a") < 800  # 600 of 2000; 8 standard deviations either way
    assert {direct["chat", "never"].choose().endpoint.name for _ in range(100)} == {"a"}
