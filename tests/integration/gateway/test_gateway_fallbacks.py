"""An endpoint that fails hands over to its fallbacks; each request that reached a provider is recorded."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway_contracts.request_record import problem
from support.emulator import Emulator
from support.gateway import Gateway, endpoint, openai_endpoint, running_gateway, wait_until

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def falling(emulator: Emulator) -> Iterator[Gateway]:
    """A gateway whose endpoints have fallbacks; at some of their providers there is nobody."""

    def failing(name: str, *fallbacks: str, base: str = emulator.openai_url) -> dict[str, Any]:
        return openai_endpoint(name, base) | {"fallbacks": list(fallbacks)}

    claude = {"anthropic_api_key": "$PROVIDER_KEY", "anthropic_api_base": emulator.openai_url}
    nobody = "http://127.0.0.1:9/v1"
    config = {
        "endpoints": [
            openai_endpoint("good", emulator.openai_url),
            endpoint("claude", "chat", "anthropic", "claude-sonnet-4-5", **claude),
            failing("nobody", "good", base=nobody),
            failing("nobody-claude", "claude", base=nobody),
            failing("nobody-at-all", "nobody", "nobody-claude", base=nobody),
            failing("same", "good"),
            endpoint("claude-first", "chat", "anthropic", "claude-sonnet-4-5", **claude)
            | {"fallbacks": ["good"]},
        ],
        "routes": [
            {
                "name": "split",
                "task_type": "llm/v1/chat",
                "destinations": [{"name": "nobody", "traffic_percentage": 100}],
            }
        ],
    }
    with running_gateway(config, MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS="2") as running:
        yield running


def records_of(gateway: Gateway, answer: Any, count: int) -> list[dict[str, Any]]:
    def mine() -> list[dict[str, Any]]:
        return [one for one in gateway.records() if one["request_id"] == answer.headers["x-request-id"]]

    wait_until(lambda: len(mine()) >= count, f"{count} records")
    found = mine()
    assert len(found) == count, found
    assert [problem(one) for one in found] == [None] * count
    assert [one["attempt"] for one in found] == list(range(1, count + 1))
    assert [one["final"] for one in found] == [False] * (count - 1) + [True]
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("name", "served_by", "provider"),
    [
        ("nobody", "gpt-4o", "openai"),
        ("nobody-claude", "claude-sonnet-4-5", "anthropic"),
        ("split", "gpt-4o", "openai"),
    ],
)
def test_a_provider_out_of_reach(
    falling: Gateway, name: str, served_by: str, provider: str, stream: bool
) -> None:
    """Nothing was sent to it, so there is one record."""
    answer = falling.chat("hello", name, stream=stream)
    assert answer.status_code == 200
    assert answer.content
    (record,) = records_of(falling, answer, 1)
    assert (record["endpoint"], record["request_model"], record["provider"]) == (name, served_by, provider)
    assert (record["http_status"], record["error_class"]) == (200, None)
    assert record["output_tokens"] > 0


@pytest.mark.parametrize("path", ["/gateway/nobody-claude/invocations", "/endpoints/nobody/invocations"])
def test_a_fallback_by_path(falling: Gateway, path: str) -> None:
    assert falling.post(path, {"messages": MESSAGES}).status_code == 200


def test_no_fallback_can_either(falling: Gateway) -> None:
    answer = falling.chat("hello", "nobody-at-all")
    assert answer.status_code == 502
    (record,) = records_of(falling, answer, 1)
    assert (record["http_status"], record["error_class"]) == (502, "network")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ["same", "claude-first"])
@pytest.mark.parametrize(
    ("fault", "status", "error_class"),
    [
        ("rate_limit", 429, "rate_limit"),
        ("server_error", 500, "provider"),
        ("overloaded", None, "provider"),
        ("hang", 504, "timeout"),
        ("disconnect", 502, "network"),
    ],
)
def test_what_another_provider_may_do_better(
    falling: Gateway,
    emulator: Emulator,
    name: str,
    fault: str,
    status: int | None,
    error_class: str,
    stream: bool,
) -> None:
    """The fault is in the prompt, so the fallback has it too: two requests, two records."""
    before = emulator.stats()["received"]
    answer = falling.chat(f"[emulator:{fault}]", name, stream=stream)
    first, last = records_of(falling, answer, 2)
    assert emulator.stats()["received"] == before + 2
    assert answer.status_code == last["http_status"] >= 429
    assert first["http_status"] == status or status is None
    assert (first["error_class"], last["error_class"]) == (error_class, error_class)
    assert (first["endpoint"], last["endpoint"]) == (name, name)
    assert (last["request_model"], last["provider"]) == ("gpt-4o", "openai")


@pytest.mark.parametrize("fault", ["authentication", "status=400", "not_found"])
def test_what_no_other_provider_would_do_better(falling: Gateway, fault: str) -> None:
    answer = falling.chat(f"[emulator:{fault}]", "same")
    assert 400 <= answer.status_code < 429
    records_of(falling, answer, 1)


def test_a_stream_that_has_begun_stays_with_its_provider(falling: Gateway) -> None:
    answer = falling.chat("[emulator:tokens=40] [emulator:cut_stream=10]", "same", stream=True)
    assert '"error"' in answer.text
    records_of(falling, answer, 1)


def test_fallbacks_at_a_route_of_the_providers_own(falling: Gateway) -> None:
    """A fallback that cannot answer in this form is left out."""
    answer = falling.post("/v1/responses", {"model": "nobody", "input": "hello"})
    assert (answer.status_code, answer.json()["object"]) == (200, "response")
    assert falling.post("/v1/responses", {"model": "nobody-claude", "input": "hello"}).status_code == 502
