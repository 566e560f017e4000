"""What each provider states about usage, in whole answers and in streams, becomes the same few counts."""

import json
from typing import Any

import pytest

from gateway_serve.answer import Answer
from gateway_serve.usage import Usage, normalise

OPENAI = {
    "prompt_tokens": 1117,
    "completion_tokens": 446,
    "total_tokens": 1563,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 7},
    "completion_tokens_details": {
        "reasoning_tokens": 320,
        "audio_tokens": 5,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENAI_USAGE = Usage(
    input_tokens=1117,
    cached_input_tokens=1024,
    output_tokens=446,
    reasoning_tokens=320,
    input_audio_tokens=7,
    output_audio_tokens=5,
)
ANTHROPIC = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188086,
    "cache_read_input_tokens": 4000,
    "output_tokens": 393,
    "service_tier": "priority",
}
ANTHROPIC_USAGE = Usage(
    input_tokens=21 + 188086 + 4000,
    cached_input_tokens=4000,
    cache_write_tokens=188086,
    output_tokens=393,
)


@pytest.mark.parametrize(
    ("stated", "provider", "expected"),
    [
        pytest.param(OPENAI, "openai", OPENAI_USAGE, id="openai with details"),
        pytest.param(OPENAI, "azure", OPENAI_USAGE, id="azure states the same"),
        pytest.param(
            {"prompt_tokens": 8, "completion_tokens": 9, "total_tokens": 17},
            "openai",
            Usage(input_tokens=8, output_tokens=9),
            id="no details: unknown, not zero",
        ),
        pytest.param(
            {"prompt_tokens": 8, "total_tokens": 8},
            "openai",
            Usage(input_tokens=8, output_tokens=0),
            id="embeddings have no output",
        ),
        pytest.param(
            {
                "prompt_tokens": 30,
                "completion_tokens": 4,
                "prompt_cache_hit_tokens": 10,
                "prompt_cache_miss_tokens": 20,
            },
            "deepseek",
            Usage(input_tokens=30, cached_input_tokens=10, output_tokens=4),
            id="deepseek names its cache otherwise",
        ),
        pytest.param(
            {"prompt_tokens": 194, "completion_tokens": 2, "cost": 0.00095},
            "openrouter",
            Usage(input_tokens=194, output_tokens=2, provider_cost_usd="0.00095"),
            id="openrouter states a cost",
        ),
        pytest.param(
            {"prompt_tokens": 194, "completion_tokens": 2, "cost": 1e-7},
            "openrouter",
            Usage(input_tokens=194, output_tokens=2, provider_cost_usd="0.0000001"),
            id="a small cost is no exponent",
        ),
        pytest.param(
            {"prompt_tokens": 194, "completion_tokens": 2, "cost": 5},
            "openai",
            Usage(input_tokens=194, output_tokens=2),
            id="another provider's cost may be no dollars",
        ),
        pytest.param(
            ANTHROPIC, "anthropic", ANTHROPIC_USAGE, id="anthropic leaves the cache out of its input"
        ),
        pytest.param(
            {"input_tokens": 10, "output_tokens": 25},
            "anthropic",
            Usage(input_tokens=10, output_tokens=25),
            id="anthropic without a cache",
        ),
        pytest.param(
            {
                "prompt_tokens": "8",
                "completion_tokens": -9,
                "prompt_tokens_details": [1],
                "completion_tokens_details": 3,
            },
            "openai",
            Usage(),
            id="strings and negatives are unknown",
        ),
        pytest.param(
            {"input_tokens": True, "output_tokens": 1.5}, "anthropic", Usage(), id="so are other types"
        ),
        pytest.param({"tokens": 5}, "other", Usage(), id="an unknown vocabulary"),
    ],
)
def test_stated_usage(stated: dict[str, Any], provider: str, expected: Usage) -> None:
    assert normalise(stated, provider) == expected


def lines(*events: Any, done: bool = False) -> list[bytes]:
    written = [b"data: " + json.dumps(event).encode() + b"\n" for event in events]
    return [*written, b"data: [DONE]\n"] if done else written


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, usage: Any = None
) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"model": "gpt-4o-2024-08-06", "service_tier": "flex", "choices": choices, "usage": usage}


def read(stream: list[bytes]) -> Answer:
    answer = Answer()
    for line in stream:
        answer.read_lines(line)
    return answer


OPENAI_STREAM = lines(
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": 'Say "usage": {"prompt_tokens": 1}'}),
    chunk({"content": "!"}),
    chunk({}, finish="length"),
    chunk(usage=OPENAI),
    done=True,
)
ANTHROPIC_STREAM = lines(
    {
        "type": "message_start",
        "message": {
            "model": "claude-sonnet-4-5-20250929",
            "usage": {**ANTHROPIC, "output_tokens": 1},
        },
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 393}},
    {"type": "message_stop"},
)


def test_an_openai_stream_states_its_usage_in_the_last_chunk() -> None:
    answer = read(OPENAI_STREAM)
    assert answer.usage("openai") == OPENAI_USAGE
    assert (answer.response_model, answer.service_tier) == ("gpt-4o-2024-08-06", "flex")
    assert (answer.finish_reason, answer.ended) == ("length", True)


def test_an_anthropic_stream_spreads_its_usage_over_two_events() -> None:
    answer = read(ANTHROPIC_STREAM)
    assert answer.usage("anthropic") == ANTHROPIC_USAGE
    assert (answer.response_model, answer.service_tier) == ("claude-sonnet-4-5-20250929", "priority")
    assert (answer.finish_reason, answer.ended) == ("length", True)


def test_a_cut_anthropic_stream_has_stated_its_input_but_not_its_output() -> None:
    answer = read(ANTHROPIC_STREAM[:4])
    assert answer.usage("anthropic").input_tokens == ANTHROPIC_USAGE.input_tokens
    assert answer.usage("anthropic").output_tokens is None
    assert (answer.finish_reason, answer.ended) == (None, False)


@pytest.mark.parametrize(
    ("event", "carries"),
    [
        (chunk({"role": "assistant", "content": ""}), False),
        (chunk({}), False),
        (chunk({"content": "Hi"}), True),
        (chunk({"reasoning_content": "Let me think"}), True),
        (chunk({"reasoning": "Let me think"}), True),
        (chunk({"tool_calls": [{"index": 0}]}), True),
        ({"choices": [{"index": 0, "text": "Hi"}]}, True),
        ({"type": "message_start", "message": {}}, False),
        ({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, False),
        ({"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": "Hm"}}, True),
        ({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "f"}}, True),
    ],
)
def test_the_first_output_is_the_first_chunk_that_carries_any(event: dict[str, Any], carries: bool) -> None:
    assert read(lines(event)).has_output is carries


def test_a_whole_anthropic_answer() -> None:
    answer = Answer()
    answer.read_whole({"type": "message", "model": "claude-3", "stop_reason": "tool_use", "usage": ANTHROPIC})
    assert answer.usage("anthropic") == ANTHROPIC_USAGE
    assert (answer.response_model, answer.service_tier, answer.finish_reason) == (
        "claude-3",
        "priority",
        "tool_calls",
    )


COHERE = {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 20, "output_tokens": 63}}


def test_coheres_answers() -> None:
    answer = Answer()
    answer.read_whole({"response_id": "r", "text": "Hi", "finish_reason": "MAX_TOKENS", "meta": COHERE})
    assert answer.usage("cohere") == Usage(input_tokens=20, output_tokens=63)
    assert answer.finish_reason == "length"
    older = Answer()
    older.read_whole({"token_count": {"prompt_tokens": 83, "response_tokens": 63, "total_tokens": 146}})
    assert older.usage("cohere") == Usage(input_tokens=83, output_tokens=63)
    stream = Answer()
    for event in (
        {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
        {"is_finished": False, "event_type": "text-generation", "text": "Hi"},
        {
            "is_finished": True,
            "event_type": "stream-end",
            "response": {"text": "Hi", "meta": COHERE},
            "finish_reason": "COMPLETE",
        },
    ):
        stream.read_lines(json.dumps(event).encode() + b"\n")
    assert stream.usage("cohere") == Usage(input_tokens=20, output_tokens=63)
    assert (stream.finish_reason, stream.ended, stream.has_output) == ("stop", True, True)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "overloaded", "type": "server_error"}, "provider"),
        ({"message": "slow down", "code": 429}, "rate_limit"),
        ({"message": "pay", "code": 402}, "quota"),
        ({"message": "No.", "code": "insufficient_quota"}, "quota"),
        ({"message": "No.", "type": "insufficient_quota", "code": None}, "quota"),
    ],
)
def test_an_error_inside_a_stream_has_its_class(error: dict[str, Any], expected: str) -> None:
    assert read(lines(chunk({"content": "Hi"}), {"error": error})).error_class == expected


@pytest.mark.parametrize(
    "junk",
    [
        None,
        [],
        "text",
        {"choices": "none"},
        {"choices": [None, 1]},
        {"usage": [1]},
        {"model": 3, "usage": {"prompt_tokens": {}}},
        {"error": "broken"},
        {"choices": [{"delta": 5, "finish_reason": {}}]},
        {"type": "message_start", "message": 1},
        {"type": "message_delta", "delta": [], "usage": "much"},
    ],
)
def test_junk_is_survived_and_means_nothing(junk: Any) -> None:
    whole, stream = Answer(), Answer()
    whole.read_whole(junk)
    for line in [*lines(junk), b"data: {broken\n", b"\xff\xfe\n", b": comment\n", b"data:\n"]:
        stream.read_lines(line)
    for answer in (whole, stream):
        assert answer.usage("openai") == Usage()
        assert (answer.response_model, answer.finish_reason, answer.has_output) == (None, None, False)
