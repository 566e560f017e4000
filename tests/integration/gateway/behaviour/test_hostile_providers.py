"""Whatever a provider answers, the call is recorded once with its cause and the worker goes on serving."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway_contracts.request_record import problem
from support import hostile_server as host
from support.gateway import Gateway, openai_endpoint, running_gateway
from support.hostile_server import HostileServer, http

PAGE = b"<!doctype html><title>Bad gateway</title>"
EVENT_STREAM = "text/event-stream"


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    return host.event(delta, finish, object="chat.completion.chunk", created=1, **more)


def with_usage(usage: Any) -> bytes:
    return http(200, host.completion(usage=usage))


def error_inside(code: Any) -> bytes:
    return http(200, {"error": {"message": "No.", "type": "some_error", "code": code}})


@pytest.fixture(scope="module")
def upstream() -> Iterator[HostileServer]:
    with host.hostile_server() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: HostileServer) -> Iterator[Gateway]:
    config = {"endpoints": [openai_endpoint("chat", f"{upstream.url}/v1")]}
    with running_gateway(config, MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS="2") as running:
        yield running


def serves_on(gateway: Gateway, upstream: HostileServer) -> None:
    """Fail unless a good call is served and recorded now."""
    upstream.will(http(200, host.completion()))
    answer = gateway.chat("hello")
    assert answer.status_code == 200
    assert gateway.record_of(answer)["output_tokens"] == 5


@pytest.mark.parametrize(
    ("said", "status", "error_class"),
    [
        pytest.param(http(200, PAGE, "text/html"), 502, "provider", id="a page instead of an answer"),
        pytest.param(http(503, PAGE, "text/html"), None, "provider", id="a page instead of an error"),
        pytest.param(http(200, b"", "application/json"), 502, "provider", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 502, "provider", id="not even a type"),
        pytest.param(http(200, b'{"id": "x", "cho'), 502, "provider", id="half of a JSON text"),
        pytest.param(http(200, b"[" * 200_000), 502, "provider", id="brackets without end"),
        pytest.param(http(200, b"null"), 502, "provider", id="null"),
        pytest.param(http(200, []), 502, "provider", id="a list"),
        pytest.param(http(200, b'{"id": "\xff\xfe"}'), 502, "provider", id="no UTF-8"),
        pytest.param(host.cut_body, 502, "network", id="fewer bytes than promised"),
        pytest.param(host.close, 502, "network", id="a closed connection"),
        pytest.param(host.reset, 502, "network", id="a reset connection"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", 502, "network", id="another protocol"),
        pytest.param(host.gzip_garbage(), 502, "network", id="gzip that is none"),
        pytest.param(host.hang, 504, "timeout", id="silence"),
        pytest.param(host.drip_body, 504, "timeout", id="a body that never ends"),
        pytest.param(host.drip_headers, 504, "timeout", id="a header that never ends"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000, 502, "network", id="a header of 1 MB"
        ),
        pytest.param(error_inside(429), None, "rate_limit", id="200 with a 429 inside"),
        pytest.param(error_inside("server_error"), None, "provider", id="200 with an error inside"),
        pytest.param(error_inside("insufficient_quota"), None, "quota", id="200 with no quota inside"),
        pytest.param(http(401, {"error": "no key"}), 401, "authentication", id="an error that is a text"),
        pytest.param(http(418, []), 418, "invalid_request", id="an error that is a list"),
        pytest.param(http(500, b"oops", "text/plain"), 500, "provider", id="an error in plain text"),
        pytest.param(http(302, b"", Location="http://127.0.0.1:9/"), 502, "provider", id="a redirect"),
    ],
)
def test_a_bad_answer(
    gateway: Gateway, upstream: HostileServer, said: Any, status: int | None, error_class: str
) -> None:
    upstream.will(said)
    answer = gateway.chat("hello")
    record = gateway.record_of(answer)
    assert problem(record) is None
    assert answer.json()  # whatever it is, it is JSON
    assert record["http_status"] == answer.status_code
    if status:
        assert answer.status_code == status
    assert (record["error_class"], record["usage_source"]) == (error_class, None)
    assert (record["input_tokens"], record["output_tokens"]) == (None, None)
    serves_on(gateway, upstream)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        pytest.param({"prompt_tokens": "10", "completion_tokens": "5"}, (None, None), id="texts"),
        pytest.param({"prompt_tokens": -10, "completion_tokens": 5}, (None, 5), id="below zero"),
        pytest.param({"prompt_tokens": 10, "completion_tokens": 2**70}, (10, None), id="beyond 64 bits"),
        pytest.param({"prompt_tokens": 1.5, "completion_tokens": True}, (None, None), id="no whole numbers"),
        pytest.param({"prompt_tokens": [10], "completion_tokens": {"a": 5}}, (None, None), id="lists"),
        pytest.param(
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": 7},
            (10, 5),
            id="odd details",
        ),
        pytest.param({}, (None, None), id="empty"),
        pytest.param([1, 2], (None, None), id="a list"),
        pytest.param("much", (None, None), id="a text"),
        pytest.param(None, (None, None), id="null"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_bad_usage(
    gateway: Gateway, upstream: HostileServer, usage: Any, counted: tuple[Any, Any], streamed: bool
) -> None:
    """Counts that are none are unknown, not zero; what else the provider said of the call stays true."""
    words = (event({"content": "Ada"}), event({}, "stop", usage=usage), b"data: [DONE]\n\n")
    upstream.will(host.stream(*words) if streamed else with_usage(usage))
    answer = gateway.chat("hello", stream=streamed)
    assert answer.content
    record = gateway.record_of(answer)
    assert problem(record) is None
    assert record["http_status"] == answer.status_code
    assert (record["input_tokens"], record["output_tokens"]) == counted
    assert record["response_model"] == "gpt-4o-mini-2024-07-18"
    serves_on(gateway, upstream)


@pytest.mark.parametrize(
    ("said", "status", "error_class"),
    [
        pytest.param(http(200, PAGE, "text/html"), None, "provider", id="a page"),
        pytest.param(http(200, b"", EVENT_STREAM), 502, "provider", id="no event"),
        pytest.param(http(200, b": ping\n\n: ping\n\n", EVENT_STREAM), 502, "provider", id="only comments"),
        pytest.param(http(200, b"data: [DONE]\n\n", EVENT_STREAM), 502, "provider", id="only the end"),
        pytest.param(
            http(200, b"data: {oops\n\n", EVENT_STREAM), None, "provider", id="an event that is no JSON"
        ),
        pytest.param(
            host.stream(b'data: {"error": {"message": "No.", "code": 429}}\n\n'),
            None,
            "rate_limit",
            id="only an error",
        ),
        pytest.param(host.stream(event({"content": "Ada"}), whole=False), 200, "network", id="cut"),
        pytest.param(host.stream(event({"content": "Ada"})), 200, "network", id="no end"),
        pytest.param(
            host.stream(event({"content": "Ada"}), b'data: {"error": {"message": "No."}}\n\n'),
            200,
            "provider",
            id="an error later",
        ),
        pytest.param(host.drip_stream, 504, "timeout", id="comments without end"),
    ],
)
def test_a_bad_stream(
    gateway: Gateway, upstream: HostileServer, said: Any, status: int | None, error_class: str
) -> None:
    upstream.will(said)
    answer = gateway.chat("hello", stream=True)
    assert answer.content  # the caller always learns something
    record = gateway.record_of(answer)
    assert problem(record) is None
    assert record["http_status"] == answer.status_code
    if status:
        assert answer.status_code == status
    assert (record["error_class"], record["stream"]) == (error_class, True)
    serves_on(gateway, upstream)
