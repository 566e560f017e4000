"""The same requests to MLflow's own app and to this gateway: the same answers, but for what docs list."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.gateway import Gateway, environment, openai_endpoint, wait_until

MESSAGES = [{"role": "user", "content": "hello"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
# What differs between any two calls.
_CHANGING = re.compile(rb'"created":\d+|emulator0[0-9a-f]+')

_STOCK = """
import sys, uvicorn
from mlflow.gateway.app import create_app_from_path
server = uvicorn.Server(uvicorn.Config(create_app_from_path(sys.argv[1]), port=0, log_level="info"))
server.run()
"""


@pytest.fixture(scope="module")
def stock(config: dict[str, Any]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        path.write_text(yaml.safe_dump(config))
        log = Path(directory, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", _STOCK, str(path)], env=environment(), stdout=stream, stderr=stream
            )
        try:
            found: list[str] = []

            def started() -> bool:
                found[:] = re.findall(r"running on (http://[\d.:]+)", log.read_text())
                assert process.poll() is None, log.read_text()
                return bool(found)

            wait_until(started, "MLflow's own app", 60)
            yield found[0]
        finally:
            process.terminate()
            process.wait(20)


def chat(endpoint: str = "chat", prompt: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": endpoint, "messages": [{"role": "user", "content": prompt}], **more}


CASES: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", chat()),
    "chat by endpoint": ("/endpoints/chat/invocations", {"messages": MESSAGES}),
    "chat by route": ("/gateway/split/invocations", {"messages": MESSAGES}),
    "claude": ("/v1/chat/completions", chat("claude", max_tokens=50)),
    "azure": ("/v1/chat/completions", chat("azure", temperature=0.5, user="alice")),
    "stream": ("/v1/chat/completions", chat(stream=True)),
    "stream of claude": ("/v1/chat/completions", chat("claude", stream=True)),
    "tools": ("/v1/chat/completions", chat(prompt="[emulator:tool_call=weather]", tools=[TOOL])),
    "tools in a stream": (
        "/v1/chat/completions",
        chat(prompt="[emulator:tool_call=weather]", tools=[TOOL], stream=True),
    ),
    "completions": ("/v1/completions", {"model": "text", "prompt": "hello"}),
    "embeddings": ("/v1/embeddings", {"model": "vectors", "input": ["a", "b"]}),
    "embeddings by endpoint": ("/gateway/vectors/invocations", {"input": "a"}),
    "no messages": ("/v1/chat/completions", {"model": "chat"}),
    "empty messages": ("/gateway/chat/invocations", {"messages": []}),
    "a model too many": ("/gateway/chat/invocations", chat()),
    "not JSON": ("/v1/chat/completions", b"{"),
    "no body": ("/gateway/chat/invocations", b""),
    "wrong kind": ("/v1/chat/completions", chat("vectors")),
    "no such endpoint by path": ("/gateway/nope/invocations", {"messages": MESSAGES}),
    "provider: 401": ("/v1/chat/completions", chat(prompt="[emulator:authentication]")),
    "provider: 429": ("/v1/chat/completions", chat(prompt="[emulator:rate_limit]")),
    "provider: no quota": (
        "/gateway/chat/invocations",
        {"messages": chat(prompt="[emulator:quota]")["messages"]},
    ),
    "provider: 500": ("/v1/chat/completions", chat("claude", "[emulator:server_error]")),
    "provider: a page": ("/v1/chat/completions", chat(prompt="[emulator:html]")),
}


def answer(base: str, path: str, body: Any) -> tuple[int, str, bytes]:
    data = (
        {"data": body, "headers": {"content-type": "application/json"}}
        if isinstance(body, bytes)
        else {"json": body}
    )
    found = requests.post(base + path, timeout=30, **data)
    return found.status_code, found.headers["content-type"], _CHANGING.sub(b"", found.content)


@pytest.mark.parametrize("case", CASES)
def test_the_same_answer(gateway: Gateway, stock: str, case: str) -> None:
    path, body = CASES[case]
    assert answer(gateway.url, path, body) == answer(stock, path, body)


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/api/2.0/endpoints/",
        "/api/2.0/endpoints/chat",
        "/api/2.0/endpoints/nope",
        "/api/2.0/gateway/routes/",
        "/api/3.0/gateway/route/split",
        "/docs",
        "/openapi.json",
        "/nope",
    ],
)
def test_the_same_page(gateway: Gateway, stock: str, path: str) -> None:
    ours, theirs = (requests.get(base + path, timeout=30) for base in (gateway.url, stock))
    if path == "/openapi.json":  # MLflow puts its paths in no order
        assert ours.json() == theirs.json()
    else:
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)


def test_a_refused_stream_is_a_difference(gateway: Gateway, stock: str) -> None:
    """MLflow says 200 and breaks off, which no client can tell from a fault of the network."""
    body = chat(prompt="[emulator:rate_limit]", stream=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(f"{stock}/v1/chat/completions", json=body, timeout=30)
    assert gateway.post("/v1/chat/completions", body).status_code == 429


@pytest.mark.parametrize(
    ("body", "status"),
    [(chat("nope"), 404), (chat("refused"), 502), (chat(prompt="[emulator:bad_json]"), 502)],
)
def test_a_500_without_a_word_is_a_difference(
    gateway: Gateway, stock: str, body: dict[str, Any], status: int
) -> None:
    theirs = requests.post(f"{stock}/v1/chat/completions", json=body, timeout=30)
    assert (theirs.status_code, theirs.text) == (500, "Internal Server Error")
    ours = gateway.post("/v1/chat/completions", body)
    assert ours.status_code == status
    assert ours.json()["detail"]


def test_the_routes_this_gateway_records_are_those_of_mlflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new route for calls in a later MLflow would go unrecorded: then this fails."""
    from mlflow.gateway.app import create_app_from_config
    from mlflow.gateway.config import GatewayConfig

    monkeypatch.setenv("MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV", "true")
    monkeypatch.setenv("PROVIDER_KEY", "k")
    one = {"endpoints": [openai_endpoint("chat", "http://127.0.0.1:9/v1")]}
    app = create_app_from_config(GatewayConfig(**one))
    posts = {route.path for route in app.routes if "POST" in (getattr(route, "methods", None) or ())}
    assert posts == {
        "/gateway/chat/invocations",
        "/endpoints/chat/invocations",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/api/2.0/endpoints/limits/",
        "/api/2.0/gateway/limits/",
    }
