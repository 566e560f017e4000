"""Server-sent events, as far as model APIs use them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Iterable, Iterator


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each event, from bytes that may be cut anywhere.

    Lines may end in LF or CRLF. Fields other than `data` and comments are passed over. The last event counts
    even without the blank line behind it, which some servers omit; its reader sees whether it is whole.
    """
    data: list[str] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield "\n".join(data)
                data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    if data:
        yield "\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    pending = bytearray()
    searched = 0
    for chunk in chunks:
        pending += chunk
        while (end := pending.find(b"\n", searched)) >= 0:
            yield pending[:end].decode("utf-8", "replace").removesuffix("\r")
            del pending[: end + 1]
            searched = 0
        searched = len(pending)
    if pending:
        yield pending.decode("utf-8", "replace").removesuffix("\r")
