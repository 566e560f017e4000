"""Server-sent events, as far as model APIs use them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Iterable, Iterator


class EventFeed:
    """Takes the bytes of a stream, cut anywhere, and gives the data of each event when it is complete.

    Lines may end in LF or CRLF. Fields other than `data` and comments are passed over.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self._searched = 0
        self._data: list[str] = []

    def take(self, chunk: bytes) -> Iterator[str]:
        """Yield the events that these bytes complete."""
        self._pending += chunk
        while (end := self._pending.find(b"\n", self._searched)) >= 0:
            line = self._pending[:end].decode("utf-8", "replace").removesuffix("\r")
            del self._pending[: end + 1]
            self._searched = 0
            yield from self._line(line)
        self._searched = len(self._pending)

    def end(self) -> Iterator[str]:
        """Yield the last event without the blank line behind it, which some servers omit.

        Its reader sees whether it is whole.
        """
        if self._pending:
            yield from self._line(self._pending.decode("utf-8", "replace").removesuffix("\r"))
            self._pending.clear()
        yield from self._line("")

    def _line(self, line: str) -> Iterator[str]:
        if line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line and self._data:
            yield "\n".join(self._data)
            self._data = []


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each event, from bytes that may be cut anywhere."""
    feed = EventFeed()
    for chunk in chunks:
        yield from feed.take(chunk)
    yield from feed.end()
