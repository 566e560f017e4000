"""One connection to a provider, and the answer that comes over it."""

import asyncio
import contextlib
import socket
import zlib
from typing import Any, Protocol

import httptools

# A provider that closes an idle connection just as a call is sent on it fails that call, since nobody can
# tell whether it was read. So connections are let go first. aiohttp, which MLflow uses, waits as long.
IDLE_S = 15.0
# A caller that reads slower than the provider sends: beyond this many bytes the provider has to wait.
_HIGH_WATER = 256 * 1024
# What providers send in headers is a hundredth of it.
_MAX_HEAD_BYTES = 256 * 1024
# Vectors of the largest batch that a provider takes come to a third of it.
_MAX_ANSWER_BYTES = 256 * 1024 * 1024


class UnreachableError(ConnectionError):
    """No connection could be made: nothing has been sent."""


class BrokenError(ConnectionError):
    """The connection ended, or what came is no HTTP, after the request was sent."""


class Pool(Protocol):
    """Where a connection belongs."""

    def give_back(self, connection: "Connection", seconds: float) -> None:
        """Keep a connection for another call, for so many seconds."""

    def forget(self, connection: "Connection") -> None:
        """Keep a connection no longer."""

    def lost(self) -> None:
        """Count one connection less."""


class Response:
    """An answer of a provider, read as a whole or in the pieces in which it comes."""

    __slots__ = ("_closed", "_connection", "_decoder", "headers", "reason", "status")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._closed = False
        self.status: int = connection.status
        self.reason = connection.reason
        self.headers = connection.headers
        encoding = self.header(b"content-encoding").lower()
        # Not asked for, but some send it; 47: gzip or zlib, told apart by the first bytes.
        self._decoder = zlib.decompressobj(47) if encoding in (b"gzip", b"deflate") else None

    def header(self, name: bytes) -> bytes:
        """Return the value of a header named in small letters, empty where there is none."""
        return self.headers.get(name, b"")

    async def read(self) -> bytes:
        """Return the rest of the body. Raises BrokenError or TimeoutError."""
        connection = self._connection
        if connection.done:
            return self._decoded(connection.take())
        parts = []
        size = 0
        while not connection.done:
            part = self._decoded(connection.take())
            size += len(part)
            if size > _MAX_ANSWER_BYTES:
                raise BrokenError("an answer without end")
            parts.append(part)
            await connection.wait()
        return b"".join([*parts, self._decoded(connection.take())])

    async def read_some(self) -> bytes:
        """Return what has come, at least a byte; nothing at the end. Raises BrokenError or TimeoutError."""
        connection = self._connection
        while True:
            if piece := connection.take():
                if piece := self._decoded(piece):
                    return piece
            elif connection.done:
                return b""
            else:
                await connection.wait()

    def close(self) -> None:
        """Let the connection go: to another call after a whole answer, else closed, so the provider stops."""
        if not self._closed:
            self._closed = True
            self._connection.end()

    def _decoded(self, data: bytes) -> bytes:
        if self._decoder is None:
            return data
        try:
            # What does not fit is nobody's answer: a few bytes can be made to stand for gigabytes.
            return self._decoder.decompress(data, _MAX_ANSWER_BYTES)
        except zlib.error as error:
            raise BrokenError("an answer that is not encoded as it says") from error


# What comes in is copied out of it at once, so all connections share it. Without it, every read of a TLS
# connection would take and give back 256 KB.
_ROOM = memoryview(bytearray(256 * 1024))


class Connection(asyncio.BufferedProtocol):
    """One connection, and the answer that comes over it."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self._transport: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline = 0.0
        self._error: Exception | None = None
        self._busy = False
        self._paused = False
        self.made = False
        self.usable_until = 0.0
        self._reset()

    def _reset(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._buffered = 0
        self.status = 0
        self.reason = ""
        self.headers: dict[bytes, bytes] = {}  # names in small letters; of several, the first
        self._answered = False
        self._head_bytes = 0
        self._to_the_end = False
        self._keep = False
        self.done = False

    async def send(self, request: bytes, deadline: float) -> Response:
        self._busy = True
        self._expire_at(deadline)
        self._transport.write(request)
        try:
            while not self._answered:
                await self.wait()
        except BaseException:
            self.end()
            raise
        return Response(self)

    async def wait(self) -> None:
        """Wait for something to happen. Raises what ended the connection early."""
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def take(self) -> bytes:
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._buffered = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def end(self) -> None:
        """End the call: keep the connection where it can serve another."""
        if not self._busy:
            return
        self._busy = False
        if not self.done or self._error is not None or self._to_the_end or self._transport.is_closing():
            self.abort()
            return
        seconds = min(IDLE_S, self._kept_for()) if self._keep else 0.0
        if seconds <= 0:
            self.abort()
            return
        if self._paused:
            self._transport.resume_reading()
            self._paused = False
        self._reset()
        self._pool.give_back(self, seconds)

    def is_closing(self) -> bool:
        return bool(self._transport.is_closing())

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.made = True
        if (sock := transport.get_extra_info("socket")) is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _ROOM

    def buffer_updated(self, nbytes: int) -> None:
        if not self._busy:
            self.abort()  # nobody asked
            return
        data = _ROOM[:nbytes].tobytes()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(BrokenError("an answer that is no HTTP"))
            return
        if not self._answered:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._fail(BrokenError("headers without end"))
            return
        if self._buffered > _HIGH_WATER and not self._paused and not self.done:
            self._paused = True
            self._transport.pause_reading()
        self._notify()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._parser = None  # it holds this connection, whose buffers are large
        self._pool.forget(self)
        self._pool.lost()
        if not self._busy or self.done:
            return
        if self._to_the_end and error is None:
            self.done = True
            self._notify()
            return
        self._fail(BrokenError("the connection ended early"))

    # httptools calls these.

    def on_status(self, status: bytes) -> None:
        self.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self.status = status
        self._answered = True
        self._to_the_end = b"content-length" not in self.headers and b"transfer-encoding" not in self.headers

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._buffered += len(data)

    def on_message_complete(self) -> None:
        if self._answered:
            self._to_the_end = False
            self._keep = self._parser.should_keep_alive()
            self.done = True
        else:  # 100 Continue and the like
            self.headers = {}
            self.reason = ""

    def _notify(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(self._error)

    def _expire_at(self, deadline: float) -> None:
        """Give the call until then. The timer of the call before is kept: a new one for each costs more."""
        self._deadline = deadline
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if not self._busy:
            return
        if self._timer_at < self._deadline:
            self._expire_at(self._deadline)
        else:
            self._fail(TimeoutError())

    def _kept_for(self) -> float:
        """Return for how many seconds the server keeps an idle connection, less a second for the way."""
        for part in self.headers.get(b"keep-alive", b"").split(b","):
            key, _, number = part.strip().partition(b"=")
            if key.lower() == b"timeout" and number.isdigit():
                return int(number) - 1.0
        return IDLE_S
