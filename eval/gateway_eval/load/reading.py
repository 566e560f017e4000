"""Reads the answer to one call of a load as its bytes arrive."""

import json
import time
import zlib
from typing import Any, Protocol

from gateway_eval.chat import read_usage
from gateway_eval.failure import Failure, FailureClass, from_answer, from_error_body
from gateway_eval.http_client import MAX_BODY_BYTES
from gateway_eval.load.sample import Sample
from gateway_eval.sse import EventFeed

# Wide enough for gzip and for zlib's own format.
_ANY_WINDOW = 32 + zlib.MAX_WBITS
_OUTPUT_KEYS = ("content", "reasoning_content", "reasoning", "tool_calls", "refusal")
_THOUGHT_KEYS = ("reasoning_content", "reasoning")


class _Broken(Exception):  # noqa: N818 (carries the failure)
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Body(Protocol):
    def take(self, data: bytes) -> None:
        """Take a part of the body."""

    def end(self) -> None:
        """Judge the body, which is complete."""


class AnswerReader:
    """Judges an answer by the rules by which `gateway-eval run` judges it, and fills in the sample.

    `failure` is set as soon as the answer can no longer be a good one.
    """

    def __init__(self, sample: Sample, status: int, headers: dict[str, str], *, stream: bool) -> None:
        self.failure: Failure | None = None
        self._status = status
        self._size = 0
        self._decoder: Any = None
        coding = headers.get("content-encoding", "identity").strip().lower()
        if coding in ("gzip", "x-gzip", "deflate"):
            self._decoder = zlib.decompressobj(_ANY_WINDOW)
        elif coding not in ("identity", ""):
            self._fail(f"the body is encoded as {coding[:40]}, which was not asked for")
        self._body: _Body
        if status >= 300:
            self._body = _ErrorBody(status, headers)
        elif stream and "text/event-stream" in headers.get("content-type", ""):
            self._body = _StreamBody(sample, status)
        else:
            self._body = _WholeBody(sample, status, stream=stream)

    def take(self, data: bytes) -> None:
        """Take a part of the body as it came over the wire."""
        if self.failure is not None:
            return
        try:
            if self._decoder is not None:
                data = self._decoder.decompress(data, MAX_BODY_BYTES + 1)
            self._size += len(data)
            if self._size > MAX_BODY_BYTES:
                self._fail(f"the answer is larger than {MAX_BODY_BYTES // 1024**2} MiB")
                return
            self._body.take(data)
        except zlib.error:
            self._fail("the body is not what its Content-Encoding says")
        except _Broken as broken:
            self.failure = broken.failure

    def end(self) -> None:
        """Judge the answer, which is complete."""
        if self.failure is not None:
            return
        if self._decoder is not None and not self._decoder.eof:
            self._fail("the body is not what its Content-Encoding says")
            return
        try:
            self._body.end()
        except _Broken as broken:
            self.failure = broken.failure

    def cut(self, message: str) -> Failure:
        """Return the failure of an answer whose connection broke in the middle."""
        if isinstance(self._body, _StreamBody):
            return Failure.of(
                FailureClass.STREAM_CUT, "the stream was cut: the connection broke", http_status=self._status
            )
        return Failure.of(FailureClass.NETWORK, message, http_status=self._status)

    def _fail(self, message: str) -> None:
        self.failure = Failure.of(FailureClass.PROTOCOL, message, http_status=self._status)


class _ErrorBody:
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers = status, headers
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> None:
        self._parts.append(data)

    def end(self) -> None:
        body = _decoded(b"".join(self._parts))
        raise _Broken(from_answer(self._status, self._headers, body))


class _WholeBody:
    def __init__(self, sample: Sample, status: int, *, stream: bool) -> None:
        self._sample, self._status, self._stream = sample, status, stream
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> None:
        self._parts.append(data)

    def end(self) -> None:
        body = _decoded(b"".join(self._parts))
        if isinstance(body, str):
            raise self._protocol(f"HTTP {self._status} with a body that is not JSON: {body[:80] or 'empty'}")
        if isinstance(body, dict) and body.get("error"):
            raise _Broken(from_error_body(body, self._status))
        if self._stream:
            raise self._protocol("asked for a stream, the host sent one whole answer")
        choice = _first_choice(body)
        if choice is None or not isinstance(choice.get("message"), dict):
            raise self._protocol("the answer has no choices[0].message")
        _note(self._sample, body)

    def _protocol(self, message: str) -> _Broken:
        return _Broken(Failure.of(FailureClass.PROTOCOL, message, http_status=self._status))


class _StreamBody:
    """A stream is whole if it ends with `[DONE]` or has a finish reason, as MLflow's have."""

    def __init__(self, sample: Sample, status: int) -> None:
        self._sample, self._status = sample, status
        self._feed = EventFeed()
        self._broken = self._finished = self._thought = False

    def take(self, data: bytes) -> None:
        now = time.perf_counter()
        for event in self._feed.take(data):
            self._event(event, now)

    def end(self) -> None:
        now = time.perf_counter()
        for event in self._feed.end():
            self._event(event, now)
        if self._broken or not self._finished:
            how = "inside an event" if self._broken else "without a finish reason"
            message = f"the stream was cut: it ended {how}"
            raise _Broken(Failure.of(FailureClass.STREAM_CUT, message, http_status=self._status))

    def _event(self, event: str, now: float) -> None:
        if self._broken:
            raise self._protocol("an event of the stream is not JSON")
        if event == "[DONE]":
            self._finished = True
            return
        try:
            data = json.loads(event)
        except (ValueError, RecursionError):
            self._broken = True  # a cut if nothing follows it
            return
        if not isinstance(data, dict):
            raise self._protocol("an event of the stream is not a JSON object")
        if data.get("error"):
            raise _Broken(from_error_body(data, self._status))
        choice = _first_choice(data)
        if choice is not None:
            delta = choice.get("delta")
            if isinstance(delta, dict) and any(map(delta.get, _OUTPUT_KEYS)):
                self._thought = self._thought or any(map(delta.get, _THOUGHT_KEYS))
                self._sample.output_at(now)
            if choice.get("finish_reason"):
                self._finished = True
        _note(self._sample, data, thought=self._thought)

    def _protocol(self, message: str) -> _Broken:
        return _Broken(Failure.of(FailureClass.PROTOCOL, message, http_status=self._status))


def _decoded(body: bytes) -> Any:
    """Return JSON decoded, and anything else as text."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, str) else value


def _first_choice(body: Any) -> dict[str, Any] | None:
    choices = body.get("choices") if isinstance(body, dict) else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _note(sample: Sample, body: dict[str, Any], *, thought: bool = False) -> None:
    """Take what stands beside the choices."""
    usage, model = body.get("usage"), body.get("model")
    if isinstance(model, str) and model:
        sample.response_model = model
    if isinstance(usage, dict):
        sample.usage = read_usage(usage)
        sample.unseen_tokens = 0 if thought else sample.usage.reasoning_tokens or 0
