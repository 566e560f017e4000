"""Every call leaves one record that tells what the caller got, whatever that was."""

from typing import Any

import pytest
import requests

from gateway_contracts.request_record import problem
from support.emulator import Emulator
from support.gateway import KEY, Gateway

MESSAGES = [{"role": "user", "content": "hello"}]


def test_a_whole_answer(gateway: Gateway) -> None:
    answer = gateway.chat("hello [emulator:cached=5] [emulator:reasoning=3]", user="alice")
    usage = answer.json()["usage"]
    record = gateway.record_of(answer)
    assert problem(record) is None
    assert record["received_at"].endswith("Z")
    expected = {
        "attempt": 1,
        "final": True,
        "host": "host-1",
        "instance": "gw-1",
        "client_address": "127.0.0.1",
        "api_key_id": None,
        "end_user": "alice",
        "endpoint": "chat",
        "operation": "chat",
        "stream": False,
        "provider": "openai",
        "request_model": "gpt-4o",
        "response_model": answer.json()["model"],
        "service_tier": "default",
        "http_status": 200,
        "error_class": None,
        "input_tokens": usage["prompt_tokens"],
        "cached_input_tokens": 5,
        "output_tokens": usage["completion_tokens"],
        "reasoning_tokens": 3,
        "usage_source": "provider",
        "finish_reason": "stop",
        "time_to_first_token_ms": None,
        "request_bytes": len(answer.request.body or b""),
        "response_bytes": len(answer.content),
    }
    assert {name: record[name] for name in expected} == expected
    assert 0 < record["upstream_ms"] <= record["duration_ms"]


@pytest.mark.parametrize("endpoint", ["chat", "claude", "nonesuch"])
@pytest.mark.parametrize("stream", [False, True])
def test_who_has_an_answer_need_not_wait_for_its_record(
    gateway: Gateway, endpoint: str, stream: bool
) -> None:
    for _ in range(20):
        answer = gateway.chat("hello", endpoint, stream=stream)
        assert answer.content
        found = [record["request_id"] for record in gateway.records()]
        assert answer.headers["x-request-id"] in found


@pytest.mark.parametrize("endpoint", ["chat", "claude", "azure"])
def test_a_stream_counts_what_the_provider_counts(
    gateway: Gateway, emulator: Emulator, endpoint: str
) -> None:
    answer = gateway.chat("[emulator:tokens=40] [emulator:cached=6] tell me", endpoint, stream=True)
    body = answer.content
    record = gateway.record_of(answer)
    served = emulator.requests(1)[0]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (record["input_tokens"], record["output_tokens"]) == (
        served["input_tokens"],
        served["output_tokens"],
    )
    assert record["cached_input_tokens"] == 6
    assert (record["http_status"], record["error_class"]) == (200, None)
    assert (record["stream"], record["usage_source"], record["finish_reason"]) == (True, "provider", "stop")
    assert 0 < record["time_to_first_token_ms"] <= record["duration_ms"]
    assert record["response_bytes"] == len(body)


@pytest.mark.parametrize(
    ("endpoint", "provider", "model"),
    [
        ("chat", "openai", "gpt-4o"),
        ("claude", "anthropic", "claude-sonnet-4-5"),
        ("azure", "azure", "gpt-4o"),
    ],
)
@pytest.mark.parametrize("path", ["/gateway/{}/invocations", "/endpoints/{}/invocations"])
def test_invocations(gateway: Gateway, path: str, endpoint: str, provider: str, model: str) -> None:
    record = gateway.record_of(gateway.post(path.format(endpoint), {"messages": MESSAGES}))
    assert (record["endpoint"], record["operation"]) == (endpoint, "chat")
    assert (record["provider"], record["request_model"]) == (provider, model)
    assert record["http_status"] == 200
    assert record["input_tokens"] > 0
    assert record["output_tokens"] > 0


def test_anthropics_input_includes_what_its_cache_held(gateway: Gateway, emulator: Emulator) -> None:
    answer = gateway.chat("hello [emulator:cached=100] [emulator:cache_write=30]", "claude")
    record = gateway.record_of(answer)
    assert record["input_tokens"] == emulator.requests(1)[0]["input_tokens"] > 130
    assert (record["cached_input_tokens"], record["cache_write_tokens"]) == (100, 30)


def test_a_traffic_route_is_recorded_with_the_endpoint_that_served(gateway: Gateway) -> None:
    record = gateway.record_of(gateway.chat("hello", "split"))
    assert (record["endpoint"], record["request_model"]) == ("split", "gpt-4o-mini")
    assert record["response_model"].startswith("gpt-4o-mini")


def test_completions(gateway: Gateway) -> None:
    record = gateway.record_of(gateway.post("/v1/completions", {"model": "text", "prompt": "hello"}))
    assert (record["operation"], record["endpoint"], record["http_status"]) == ("completions", "text", 200)
    assert record["output_tokens"] > 0


def test_embeddings_have_no_output(gateway: Gateway) -> None:
    record = gateway.record_of(gateway.post("/v1/embeddings", {"model": "vectors", "input": "hello"}))
    assert (record["operation"], record["endpoint"], record["http_status"]) == ("embeddings", "vectors", 200)
    assert record["input_tokens"] > 0
    assert record["output_tokens"] == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("endpoint", ["chat", "claude", "azure"])
@pytest.mark.parametrize(
    ("fault", "status", "error_class"),
    [
        ("authentication", 401, "authentication"),
        ("rate_limit", 429, "rate_limit"),
        ("quota", 429, "quota"),
        ("not_found", 404, "not_found"),
        ("server_error", 500, "provider"),
        ("status=503", 503, "provider"),
        ("status=400", 400, "invalid_request"),
    ],
)
def test_a_refusal_keeps_its_status_and_names_its_cause(
    gateway: Gateway, endpoint: str, stream: bool, fault: str, status: int, error_class: str
) -> None:
    answer = gateway.chat(f"[emulator:{fault}]", endpoint, stream=stream)
    record = gateway.record_of(answer)
    if endpoint == "claude" and fault == "quota":
        status = answer.status_code  # Anthropic says it with a status of its own
    assert answer.status_code == record["http_status"] == status
    assert record["error_class"] == error_class
    assert record["stream"] is stream
    assert (record["provider"] is not None, record["usage_source"]) == (True, None)
    assert "detail" in answer.json()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "error_class"),
    [
        ("disconnect", 502, "network"),
        ("html", 502, "provider"),
        ("empty", 502, "provider"),
    ],
)
def test_no_answer(gateway: Gateway, stream: bool, fault: str, status: int, error_class: str) -> None:
    answer = gateway.chat(f"[emulator:{fault}]", stream=stream)
    record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == status
    assert record["error_class"] == error_class


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_can_not_be_reached(gateway: Gateway, stream: bool) -> None:
    answer = gateway.chat("hello", "refused", stream=stream)
    record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == 502
    assert (record["error_class"], record["provider"]) == ("network", "openai")
    assert "127.0.0.1" not in answer.text  # inner addresses are no business of the caller's


def test_half_an_answer(gateway: Gateway) -> None:
    answer = gateway.chat("[emulator:bad_json]")
    record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == 502
    assert record["error_class"] == "provider"


@pytest.mark.parametrize("endpoint", ["chat", "claude"])
def test_a_stream_that_the_provider_cuts(gateway: Gateway, endpoint: str) -> None:
    answer = gateway.chat("[emulator:tokens=40] [emulator:cut_stream=10]", endpoint, stream=True)
    assert answer.content
    record = gateway.record_of(answer)
    assert (record["http_status"], record["error_class"]) == (200, "network")
    assert (record["usage_source"], record["output_tokens"]) == ("partial", None)
    assert record["time_to_first_token_ms"] > 0
    # Anthropic states the input first, OpenAI all of it last.
    assert (record["input_tokens"] is None) == (endpoint == "chat")


def test_a_stream_that_breaks_tells_the_caller(gateway: Gateway) -> None:
    answer = gateway.chat("[emulator:tokens=40] [emulator:stream_error=10]", stream=True)
    assert '"error"' in answer.text
    record = gateway.record_of(answer)
    assert (record["http_status"], record["error_class"]) == (200, "provider")
    assert record["usage_source"] == "partial"


def test_a_stream_without_usage_is_partial(gateway: Gateway) -> None:
    answer = gateway.chat("hello [emulator:no_usage]", stream=True)
    assert answer.content
    record = gateway.record_of(answer)
    assert (record["http_status"], record["error_class"]) == (200, None)
    assert (record["usage_source"], record["input_tokens"], record["output_tokens"]) == (
        "partial",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "error_class", "endpoint"),
    [
        ("/v1/chat/completions", {"model": "nope", "messages": MESSAGES}, 404, "not_found", None),
        ("/v1/embeddings", {"model": "nope", "input": "x"}, 404, "not_found", None),
        ("/gateway/nope/invocations", {"messages": MESSAGES}, 404, "not_found", None),
        ("/endpoints/nope/invocations", {"messages": MESSAGES}, 404, "not_found", None),
        (
            "/v1/chat/completions",
            {"model": "vectors", "messages": MESSAGES},
            400,
            "invalid_request",
            "vectors",
        ),
        ("/v1/chat/completions", {"model": "chat"}, 422, "invalid_request", "chat"),
        ("/v1/chat/completions", {"model": "chat", "messages": []}, 422, "invalid_request", "chat"),
        ("/v1/chat/completions", {"model": ["chat"], "messages": MESSAGES}, 422, "invalid_request", None),
        ("/v1/chat/completions", b'{"model": "chat", "messages"', 422, "invalid_request", None),
        ("/v1/chat/completions", b"\xff\xfe", 422, "invalid_request", None),
        ("/v1/chat/completions", b"", 422, "invalid_request", None),
        ("/v1/chat/completions", b"[" * 100_000, 400, "invalid_request", None),
        ("/v1/chat/completions", [], 422, "invalid_request", None),
        ("/gateway/chat/invocations", {"model": "x", "messages": MESSAGES}, 422, "invalid_request", "chat"),
        ("/gateway/chat/invocations", b"{", 422, "invalid_request", "chat"),
    ],
)
def test_a_request_that_is_none(
    gateway: Gateway,
    emulator: Emulator,
    path: str,
    body: Any,
    status: int,
    error_class: str,
    endpoint: str | None,
) -> None:
    before = emulator.stats()["received"]
    answer = gateway.post(path, body)
    record = gateway.record_of(answer)
    assert (answer.status_code, record["http_status"]) == (status, status)
    assert (record["error_class"], record["endpoint"]) == (error_class, endpoint)
    assert (record["upstream_ms"], record["input_tokens"]) == (None, None)
    assert emulator.stats()["received"] == before


def test_the_gateways_own_limit(gateway: Gateway) -> None:
    path = "/gateway/limited/invocations"
    assert gateway.post(path, {"messages": MESSAGES}).status_code == 200
    refused = gateway.post(path, {"messages": MESSAGES})
    record = gateway.record_of(refused)
    assert refused.status_code == record["http_status"] == 429
    assert (record["error_class"], record["upstream_ms"]) == ("rate_limit", None)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/api/2.0/endpoints/"),
        ("GET", "/docs"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/nope"),
    ],
)
def test_what_is_no_call_leaves_no_record(gateway: Gateway, method: str, path: str) -> None:
    before = len(gateway.records())
    requests.request(method, gateway.url + path, timeout=10)
    gateway.record_of(gateway.chat("after"))
    assert len(gateway.records()) == before + 1


def test_health_answers_as_mlflow(gateway: Gateway) -> None:
    assert requests.get(f"{gateway.url}/health", timeout=10).json()["status"] == "OK"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("4f0c1d2e3b4a59687f6e5d4c3b2a1908", "4f0c1d2e3b4a59687f6e5d4c3b2a1908"),
        ("trace:1/span=2@x_y-z.0+1", "trace:1/span=2@x_y-z.0+1"),
        ('a b"<c>;{d}', "abcd"),
        ("x" * 500, "x" * 128),
    ],
)
def test_a_request_id_is_kept_as_far_as_it_is_one(gateway: Gateway, given: str, kept: str) -> None:
    body = {"model": "nope", "messages": MESSAGES}
    answer = gateway.post("/v1/chat/completions", body, headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == kept
    assert gateway.record_of(answer)["request_id"] == kept


@pytest.mark.parametrize("given", ["", "<>", '"'])
def test_a_call_without_an_id_gets_one(gateway: Gateway, given: str) -> None:
    body = {"model": "nope", "messages": MESSAGES}
    ids = {
        gateway.post("/v1/chat/completions", body, headers={"X-Request-ID": given}).headers["x-request-id"]
        for _ in range(2)
    }
    assert len(ids) == 2
    assert all(len(one) == 32 for one in ids)


def test_a_long_user_is_cut(gateway: Gateway) -> None:
    record = gateway.record_of(gateway.chat("hello", user="\u00fc" * 5000))
    assert record["end_user"] == "\u00fc" * 255 + "…"


def test_neither_prompt_nor_completion_nor_credential_is_written(gateway: Gateway) -> None:
    prompt = "the-prompt-canary-91c2 "
    faults = ("", "[emulator:bad_json]", "[emulator:quota]")
    answers = [gateway.chat(prompt + fault, stream=stream) for fault in faults for stream in (False, True)]
    answers.append(gateway.post("/v1/chat/completions", b'{"model": "chat", "messages": [' + prompt.encode()))
    for answer in answers:
        gateway.record_of(answer)
    written = gateway.everything_written()
    assert "the-prompt-canary-91c2" not in written
    assert KEY not in written
    assert "How can I help" not in written
