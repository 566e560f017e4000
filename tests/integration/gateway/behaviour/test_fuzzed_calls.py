"""Calls and answers of random content, through the real gateway: one valid record each, and it serves on."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_contracts.request_record import MAX_LINE_BYTES, problem
from support.gateway import Gateway, openai_endpoint, running_gateway
from support.hostile_server import Answer, HostileServer, completion, hostile_server, http, stream

# A long run: FUZZ_EXAMPLES=5000 pytest tests/integration/gateway/behaviour/test_fuzzed_calls.py
FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

# Not all of Unicode: a lone surrogate has an escape in JSON, but no UTF-8.
TEXT = st.text(max_size=8) | st.sampled_from(
    [
        "\ud800",
        "x" * 5000,
        "\x00" * 200,
        '"' * 3000,
        "\N{GRINNING FACE}" * 2000,
        "\u2028",
        "",
        "stop",
        "gpt-4o",
    ]
)
NUMBER = st.integers(-5, 5) | st.floats() | st.sampled_from([2**63 - 1, 2**63, -(2**70), 10**30, 1e308])
LEAF = st.none() | st.booleans() | NUMBER | TEXT
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)


def some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of these names."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))


DETAILS = some("cached_tokens", "cache_write_tokens", "audio_tokens", "reasoning_tokens")
USAGE = st.builds(
    lambda counts, details: counts | details,
    some("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens", "cost"),
    st.fixed_dictionaries(
        {}, optional={"prompt_tokens_details": DETAILS, "completion_tokens_details": DETAILS}
    ),
)
CHOICE = some("index", "message", "delta", "finish_reason", "text")
ANSWER = st.fixed_dictionaries(
    {},
    optional={
        "model": JSON,
        "service_tier": JSON,
        "usage": USAGE | JSON,
        "choices": st.lists(CHOICE | JSON, max_size=2) | JSON,
        "error": some("message", "code", "type") | JSON,
        "type": JSON,
    },
)


@pytest.fixture(scope="module")
def upstream() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(upstream: HostileServer) -> Iterator[Gateway]:
    with running_gateway({"endpoints": [openai_endpoint("chat", f"{upstream.url}/v1")]}) as running:
        yield running


def check(gateway: Gateway, upstream: HostileServer, said: Answer, **body: Any) -> None:
    """Make a call that is answered so, and look at its record."""
    upstream.will(said)
    sent = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]} | body
    answer = gateway.post("/v1/chat/completions", json.dumps(sent).encode())
    record = gateway.record_of(answer)
    assert problem(record) is None
    assert record["http_status"] == answer.status_code
    assert len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()) < MAX_LINE_BYTES


@FUZZ
@given(document=ANSWER | JSON)
def test_any_answer(gateway: Gateway, upstream: HostileServer, document: Any) -> None:
    check(gateway, upstream, http(200, json.dumps(document).encode()))


@FUZZ
@given(changed=ANSWER)
def test_any_change_of_a_good_answer(
    gateway: Gateway, upstream: HostileServer, changed: dict[str, Any]
) -> None:
    changed.pop("choices", None)
    check(gateway, upstream, http(200, json.dumps(completion() | changed).encode()))


@FUZZ
@given(documents=st.lists(ANSWER | JSON, max_size=4), done=st.booleans())
def test_any_stream(gateway: Gateway, upstream: HostileServer, documents: list[Any], done: bool) -> None:
    events = [b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents]
    check(gateway, upstream, stream(*events, *[b"data: [DONE]\n\n"] * done), stream=True)


@FUZZ
@given(
    status=st.integers(200, 599),
    body=st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_status(gateway: Gateway, upstream: HostileServer, status: int, body: bytes) -> None:
    if status in (204, 304):
        body = b""  # they have none
    check(gateway, upstream, http(status, body))


@FUZZ
@given(
    changed=some("user", "stream", "n", "stop", "temperature", "metadata", "tools", "stream_options", "model")
)
def test_any_call(gateway: Gateway, upstream: HostileServer, changed: dict[str, Any]) -> None:
    check(gateway, upstream, http(200, completion()), **changed)
