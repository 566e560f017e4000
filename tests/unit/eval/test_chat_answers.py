"""What is read from answers: tokens, costs, times, text."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, cast

import pytest

from gateway_eval.chat import ChatOutcome, TokenUsage, chat, read_usage
from gateway_eval.http_client import HttpClient
from gateway_eval.target import Api, Endpoint, Target

TARGET = Target("http://gateway", Api.MLFLOW, ())
ENDPOINT = Endpoint("chat", "chat", "openai", "gpt-4o")


class ClockedClient:
    """Answers with chunks, of which each takes 100 ms to come."""

    def __init__(self, *chunks: bytes, **headers: str) -> None:
        self.status = 200
        self.headers = {"content-type": "text/event-stream", **headers}
        self._chunks = chunks
        self._now = 0.0

    @contextmanager
    def call(self, _method: str, _path: str, _body: dict[str, Any]) -> Iterator["ClockedClient"]:
        yield self

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._now += 100
            yield chunk

    def elapsed_ms(self) -> float:
        return self._now


def streamed(*chunks: bytes, **headers: str) -> ChatOutcome:
    client = cast(HttpClient, ClockedClient(*chunks, **headers))
    outcome = chat(client, TARGET, ENDPOINT, [], stream=True)
    assert outcome.failure is None
    return outcome


ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'


@pytest.mark.parametrize(
    "delta",
    [
        b'{"content": "Hi"}',
        b'{"reasoning_content": "Let me think"}',
        b'{"reasoning": "Let me think"}',
        b'{"tool_calls": [{"index": 0}]}',
    ],
)
def test_first_token_is_the_first_output_of_any_kind(delta: bytes) -> None:
    outcome = streamed(ROLE, b'data: {"choices": [{"delta": ' + delta + b"}]}\n\n", ROLE, END)
    assert outcome.time_to_first_token_ms == 200
    assert outcome.duration_ms == 400


def test_events_may_be_cut_anywhere_and_end_in_crlf() -> None:
    text = 'data: {"choices": [{"delta": {"content": "Grüße ☕"}}]}\r\n\r\n: ping\r\n'.encode() + END
    for size in (1, 2, 3, 7):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        assert streamed(*chunks).output == "Grüße ☕"


def test_data_of_an_event_may_be_spread_over_lines() -> None:
    assert (
        streamed(b'event: x\ndata: {"choices":\ndata: [{"delta": {"content": "Hi"}}]}\n\n', END).output
        == "Hi"
    )


def test_last_event_without_a_blank_line_counts() -> None:
    assert streamed(ROLE, END.rstrip()).finish_reason == "stop"


@pytest.mark.parametrize(
    ("stated", "cost"),
    [
        ("1.25e-05", "0.0000125"),
        ("4.6499999999999995e-06", "0.00000465"),
        ("0.0", "0"),
        ("500", "500"),
        ("-1", None),
        ("nan", None),
        ("1e400", None),
        ("free", None),
    ],
)
def test_cost_stated_in_a_header(stated: str, cost: str | None) -> None:
    outcome = streamed(ROLE, END, **{"x-litellm-response-cost": stated, "x-request-id": "abc"})
    assert outcome.provider_cost_usd == (None if cost is None else Decimal(cost))
    assert outcome.request_id == "abc"


def test_usage_of_openai() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 4},
        }
    )
    assert usage == TokenUsage(
        input_tokens=100,
        cached_input_tokens=60,
        output_tokens=50,
        reasoning_tokens=30,
        input_audio_tokens=3,
        output_audio_tokens=4,
    )


def test_usage_of_anthropic_through_mlflow() -> None:
    usage = read_usage(
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 60},
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 10,
        }
    )
    assert (usage.cached_input_tokens, usage.cache_write_tokens) == (60, 10)


@pytest.mark.parametrize("value", [None, -1, "7", 1.5, True, {}])
def test_a_count_that_is_no_count_is_unknown(value: Any) -> None:
    assert read_usage({"prompt_tokens": value, "completion_tokens": 0}) == TokenUsage(output_tokens=0)
