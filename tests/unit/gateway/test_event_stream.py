"""Events go to the caller as they come, whole lines at once, and say what they cost on their way."""

import json

import pytest

from gateway_serve.answer import Answer
from gateway_serve.event_stream import EventStream, EventStreamError

SIGNATURE = b',"provider":"openai"'
CHUNK = b'data: {"model":"gpt-4o","choices":[{"index":0,"delta":{"content":"a } \\n b"}}],"usage":null}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


def events(data: bytes) -> list[dict[str, object]]:
    lines = [line[5:].strip() for line in data.splitlines() if line.startswith(b"data:")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_event_is_signed_wherever_the_network_cuts_it(size: int, line_end: bytes) -> None:
    data = (CHUNK + LAST + USAGE + DONE).replace(b"\n", line_end)
    answer = Answer()
    stream = EventStream(answer, SIGNATURE)
    passed = b"".join(stream.pass_on(data[at : at + size]) for at in range(0, len(data), size))
    assert events(passed) == [event | {"provider": "openai"} for event in events(data)]
    assert passed.endswith(DONE.replace(b"\n", line_end))
    assert answer.usage("openai").output_tokens == 2
    assert (answer.finish_reason, answer.ended) == ("stop", True)


def test_what_is_not_signed_is_not_touched() -> None:
    data = b": ping\n\nevent: x\n" + CHUNK + LAST + DONE
    assert EventStream(Answer()).pass_on(data) == data


def test_a_line_goes_out_as_soon_as_it_is_whole() -> None:
    stream = EventStream(Answer())
    assert stream.pass_on(CHUNK[:-2]) == b""
    assert stream.pass_on(b"\n") == CHUNK[:-1]


def test_a_last_line_without_an_end_is_not_lost() -> None:
    stream = EventStream(Answer(), SIGNATURE)
    assert stream.pass_on(b'data: {"a":1}') == b""
    assert stream.rest() == b'data: {"a":1}'


@pytest.mark.parametrize("event", [b"{}", b'{"provider":"Azure","choices":[]}'])
def test_a_provider_that_names_another_is_overruled(event: bytes) -> None:
    (found,) = events(EventStream(Answer(), SIGNATURE).pass_on(b"data: " + event + b"\n\n"))
    assert found == json.loads(event) | ({"provider": "openai"} if event != b"{}" else {})


def test_usage_that_the_caller_did_not_want_is_counted_and_left_out() -> None:
    answer = Answer()
    passed = EventStream(answer, SIGNATURE, hide_usage=True).pass_on(CHUNK + LAST + USAGE + DONE)
    assert len(events(passed)) == 2
    assert answer.usage("openai").input_tokens == 3


def test_mlflows_own_paths_end_without_a_word() -> None:
    assert b"[DONE]" not in EventStream(Answer(), hide_end=True).pass_on(LAST + DONE)


def test_an_event_without_an_end_is_no_event() -> None:
    stream = EventStream(Answer())
    stream.pass_on(b"x" * 2**24)
    with pytest.raises(EventStreamError):
        stream.pass_on(b"x")
