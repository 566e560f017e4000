"""The output of a stream that was cut is counted with the model's tokenizer, where that is at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway_serve import tokenizer
from gateway_serve.call import Attempt, Call
from gateway_serve.endpoints import Endpoint

ENDPOINT = Endpoint("chat", "chat", "openai", "gpt-4o")


class Words:
    """A tokenizer to which a word is a token."""

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()


@pytest.fixture
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "at_hand", lambda model: Words() if model == "gpt-4o" else None)


def record(*events: Any, endpoint: Endpoint = ENDPOINT) -> dict[str, Any]:
    call = Call("id-1", "127.0.0.1")
    call.stream = True
    attempt = Attempt(endpoint)
    for event in events:
        attempt.answer.read_lines(b"data: " + json.dumps(event).encode() + b"\n\n")
    call.attempts.append(attempt)
    return call.records()[0]


def delta(**said: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": said}]}


@pytest.mark.usefixtures("_words")
@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        ([delta(role="assistant", content=""), delta(content="one two"), delta(content=' "three"\n')], 3),
        ([delta(reasoning_content="one "), delta(content="two")], 2),
        ([delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": '{"a": 1'}}])], 2),
        ([{"choices": [{"index": 0, "text": "one two"}]}], 2),
        (
            [
                {"type": "response.output_text.delta", "delta": "one two"},
                {"type": "response.output_text.done", "text": "one two"},
            ],
            2,
        ),
    ],
)
def test_output_is_counted(events: list[Any], tokens: int) -> None:
    found = record(*events)
    assert (found["usage_source"], found["output_tokens"], found["input_tokens"]) == ("partial", tokens, None)


@pytest.mark.usefixtures("_words")
def test_the_providers_own_count_wins() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 7}}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    found = record(delta(content="one two"), end, usage)
    assert (found["usage_source"], found["output_tokens"]) == ("provider", 7)


@pytest.mark.usefixtures("_words")
def test_without_the_models_tokenizer_it_is_unknown() -> None:
    found = record(delta(content="one"), endpoint=Endpoint("x", "chat", "openai", "another"))
    assert (found["usage_source"], found["output_tokens"]) == ("partial", None)


def test_no_vocabulary_is_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    tokenizer.at_hand.cache_clear()
    try:
        assert tokenizer.at_hand("gpt-4o") is None
        assert list(tmp_path.iterdir()) == []
    finally:
        tokenizer.at_hand.cache_clear()


def test_a_vocabulary_that_comes_later_is_found_when_the_configuration_is_loaded_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    try:
        tokenizer.prepare(["gpt-4o", None])
        assert tokenizer.at_hand("gpt-4o") is None
        monkeypatch.setattr(tiktoken, "encoding_for_model", lambda _: Words())
        tokenizer.prepare(["gpt-4o", None])
        assert tokenizer.count("gpt-4o", "one two") == 2
    finally:
        tokenizer.prepare([])
