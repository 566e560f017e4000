"""HTTP towards callers: uvicorn's protocol, with what it does for every call made cheaper.

The head of an answer goes out together with its first bytes, in one packet instead of two; a connection keeps
one timer for all of its calls; what repeats from call to call is made once. All else is uvicorn's own.
"""

import asyncio
import re
import urllib.parse
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway_serve.asgi import Headers

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_KNOWN_URL = 128  # bytes


class Protocol(HttpToolsProtocol):
    """One connection of a caller."""

    _idle_since: float | None = None  # by the loop's clock; None while a call is under way

    def on_headers_complete(self) -> None:
        """Begin a call, or put it in line behind the one before it."""
        scope, parser = self.scope, self.parser
        version = parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        url = self.url
        path, raw_path, query = _known_url(url) if len(url) <= _MAX_KNOWN_URL else _split(url)
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        before = self.cycle
        self.cycle = cycle = _Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_response_complete(self) -> None:
        """Begin the next call in line, or wait for one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_idle_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection where it has been idle for long enough, else look again later."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None or self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._close_idle_in(left)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def _close_idle_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)


class _Cycle(RequestResponseCycle):
    """A request and its answer, whose head waits for the first piece of its body, as ASGI has it."""

    _head = b""

    async def send(self, message: Any) -> None:
        """Take the next message of the answer. Raises RuntimeError where it does not fit those before it."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        starts = message["type"] == "http.response.start"
        if starts == self.response_started or self.response_complete:
            raise RuntimeError(f"{message['type']} came out of turn")
        if starts:
            self.response_started = True
            self.waiting_for_100_continue = False
            self._head = self._head_of(message["status"], list(message.get("headers", ())))
            return
        more = message.get("more_body", False)
        data = self._framed(message.get("body", b""), more)
        if self._head:
            data = self._head + data
            self._head = b""
        self.transport.write(data)
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _head_of(self, status: int, headers: Headers) -> bytes:
        if _CONTROL.search(b"".join([value for _, value in headers])):
            raise RuntimeError("a header with a control character")
        lines = [STATUS_LINE[status]]
        closes = False
        for name, value in (*self.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection":
                closes = b"close" in value.lower()
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _framed(self, body: bytes, more: bool) -> bytes:
        """Return a piece of the body as it goes over the connection."""
        if self.scope["method"] == "HEAD":
            return b""
        if self.chunked_encoding:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        self.expected_content_length -= len(body)
        if self.expected_content_length < 0 or (self.expected_content_length and not more):
            raise RuntimeError("an answer that is not as long as it says")
        return body


def _split(url: bytes) -> tuple[str, bytes, bytes]:
    """Return a request's path decoded, as it came, and its query."""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return urllib.parse.unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_known_url = lru_cache(maxsize=256)(_split)
