"""Reading an answer as its bytes arrive."""

import json
import zlib

import pytest

from gateway_eval.load.reading import AnswerReader
from gateway_eval.load.sample import Sample

SSE = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}
DONE = b"data: [DONE]\n\n"


def event(delta=None, finish=None, **more):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return b"data: " + json.dumps({"choices": choices, **more}).encode() + b"\n\n"


def usage(output, reasoning=0):
    details = {"reasoning_tokens": reasoning}
    stated = {"prompt_tokens": 9, "completion_tokens": output, "completion_tokens_details": details}
    return b"data: " + json.dumps({"choices": [], "usage": stated}).encode() + b"\n\n"


def read(*parts, headers=SSE, stream=True, status=200):
    """Return the call after its whole answer, with the number of chunks with output after each part."""
    sample, seen = Sample(0.0), []
    reader = AnswerReader(sample, status, headers, stream=stream)
    for part in parts:
        reader.take(part)
        seen.append(len(sample.gaps) + (1 if sample.first else 0))
    reader.end()
    sample.failure = reader.failure
    return sample, seen


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "Hi"},
        {"reasoning_content": "Let me think"},
        {"reasoning": "Let me think"},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]},
        {"refusal": "No"},
    ],
)
def test_the_first_output_may_be_text_reasoning_a_tool_or_a_refusal(delta):
    opening = event({"role": "assistant", "content": ""})
    _, seen = read(opening, event(delta), event({"content": "more"}), event(finish="stop"), DONE)
    assert seen == [0, 1, 2, 2, 2]


def test_reasoning_that_is_sent_counts_as_tokens_that_took_time_and_hidden_reasoning_does_not():
    end = (event({"content": "b"}), event(finish="stop"), usage(12, reasoning=8), DONE)
    shown, _ = read(event({"reasoning_content": "a"}), *end)
    hidden, _ = read(event({"content": "a"}), *end)
    assert (shown.unseen_tokens, hidden.unseen_tokens) == (0, 8)
    for sample, following in ((shown, 11), (hidden, 3)):
        sample.first, sample.last = 1.0, 1.0 + following
        assert sample.token_seconds == 1.0


def test_of_a_single_token_there_is_no_time_between_tokens():
    sample, _ = read(event({"content": "a"}, "stop"), usage(1), DONE)
    assert sample.token_seconds is None


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_an_answer_is_the_same_however_it_is_cut_into_pieces(size):
    whole = event({"content": "ä"}) + event({"content": "日本"}) + event(finish="stop") + usage(3) + DONE
    sample, _ = read(*(whole[at : at + size] for at in range(0, len(whole), size)))
    assert sample.failure is None
    assert len(sample.gaps) == 1
    assert sample.usage.output_tokens == 3


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS | 16, zlib.MAX_WBITS], ids=["gzip", "deflate"])
def test_an_answer_may_be_packed_although_that_was_not_asked_for(wbits):
    packer = zlib.compressobj(wbits=wbits)
    body = json.dumps({"choices": [{"message": {"content": "Hi"}}], "usage": {"completion_tokens": 1}})
    packed = packer.compress(body.encode()) + packer.flush()
    headers = JSON | {"content-encoding": "gzip" if wbits > 15 else "deflate"}
    sample, _ = read(packed[:9], packed[9:], headers=headers, stream=False)
    assert sample.failure is None
    assert sample.usage.output_tokens == 1
    cut, _ = read(packed[:-4], headers=headers, stream=False)
    assert cut.failure.failure_class == "protocol"


def test_a_packing_that_is_not_known_is_refused():
    sample, _ = read(b"...", headers=JSON | {"content-encoding": "br"}, stream=False)
    assert sample.failure.failure_class == "protocol"
    assert "encoded as br" in sample.failure.message
