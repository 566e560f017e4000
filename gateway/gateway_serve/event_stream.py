"""A provider's stream of server-sent events on its way to the caller."""

import orjson

from gateway_serve.answer import Answer

# No event is that long. What has no end is not kept.
_MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventStreamError(ValueError):
    """A stream that is none."""


class EventStream:
    """Passes the lines of a stream on as soon as they are whole, and lets an Answer read them.

    `signature` is put at the end of the object in every event, as `,"provider":"openai"`.
    `hide_usage`: events that carry nothing but usage are left out.
    `hide_end`: OpenAI's last line, `data: [DONE]`, is left out.
    """

    __slots__ = ("_answer", "_hide_end", "_hide_usage", "_rest", "_signature")

    def __init__(
        self, answer: Answer, signature: bytes = b"", hide_usage: bool = False, hide_end: bool = False
    ) -> None:
        self._answer = answer
        self._signature = signature
        self._hide_usage = hide_usage
        self._hide_end = hide_end
        self._rest = b""

    def pass_on(self, data: bytes) -> bytes:
        """Take what came in and return what can go out. Raises EventStreamError."""
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n") + 1
        if end == len(data):
            self._rest = b""
        else:
            self._rest = data[end:]
            if len(self._rest) > _MAX_EVENT_BYTES:
                raise EventStreamError("an event without an end")
            data = data[:end]
        return self._signed(data) if data else data

    def rest(self) -> bytes:
        """Return what is left once the stream is over: a last line that has no end."""
        data, self._rest = self._rest, b""
        return self._signed(data) if data else data

    def _signed(self, lines: bytes) -> bytes:
        self._answer.read_lines(lines)
        if self._hide_usage and b'"usage"' in lines:
            lines = b"".join(line for line in lines.splitlines(True) if not _is_only_usage(line))
        if self._hide_end and b"[DONE]" in lines:
            lines = b"".join(line for line in lines.splitlines(True) if line[5:].strip() != b"[DONE]")
        signature = self._signature
        if not signature:
            return lines
        if b'"provider":' in lines or b" {}" in lines or b"data:{}" in lines:
            return b"".join(_resigned(line, signature) for line in lines.splitlines(True))
        # JSON has no line feed of its own, so this is the end of the event's object.
        return lines.replace(b"}\n", signature + b"}\n").replace(b"}\r\n", signature + b"}\r\n")


def _is_only_usage(line: bytes) -> bool:
    event = _event(line)
    return bool(event) and event.get("choices") == [] and bool(event.get("usage"))


def _resigned(line: bytes, signature: bytes) -> bytes:
    """Sign one line whose object already names a provider, or is empty."""
    event = _event(line)
    if not event:
        return line
    event.pop("provider", None)
    return b"data: " + orjson.dumps(event)[:-1] + signature + b"}" + line[len(line.rstrip(b"\r\n")) :]


def _event(line: bytes) -> dict[str, object]:
    """Return the object of an event's line, empty where it is something else."""
    if not line.startswith(b"data:"):
        return {}
    try:
        event = orjson.loads(line[5:].strip())
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
