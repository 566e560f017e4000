"""An HTTP/1.1 client for POSTs to providers, over connections that stay open from one call to the next.

It does what a gateway's calls need and nothing else: no redirects, no cookies, no proxies. What it saves
compared with a general client is most of a call's time. Calls that need more take aiohttp (upstream.py).
"""

import asyncio
import contextlib
import ssl
from collections import deque

from gateway_serve.provider_connection import Connection, Response, UnreachableError
from gateway_serve.target import Target

# Per worker process and origin. More calls than this wait for a connection.
MAX_CONNECTIONS = 2048
_SWEEP_S = 5.0


class ProviderClient:
    """The open connections of one worker process."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tls: ssl.SSLContext | None = None
        self._origins: dict[tuple[bool, str, int], _Origin] = {}

    async def post(self, target: Target, request: bytes, seconds: float) -> "Response":
        """Send a request; return once the answer's headers are there.

        `seconds` is the time for the whole answer. Raises UnreachableError, BrokenError or TimeoutError.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        origin = self._origins.get(target.key)
        if origin is None:
            if target.tls and self._tls is None:
                self._tls = ssl.create_default_context()  # heeds SSL_CERT_FILE
            origin = self._origins[target.key] = _Origin(target, self._tls if target.tls else None, loop)
        deadline = loop.time() + seconds
        connection = origin.idle_connection()
        if connection is None:
            async with asyncio.timeout_at(deadline):
                connection = await origin.connection()
        return await connection.send(request, deadline)

    def close(self) -> None:
        """Close all connections."""
        for origin in self._origins.values():
            origin.close()
        self._origins.clear()


class _Origin:
    """The connections to one host and port."""

    def __init__(self, target: Target, tls: ssl.SSLContext | None, loop: asyncio.AbstractEventLoop) -> None:
        self._host = target.host
        self._port = target.port
        self._tls = tls
        self._loop = loop
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.TimerHandle | None = None

    def idle_connection(self) -> "Connection | None":
        """Return the connection that was used last, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable_until > self._loop.time() and not connection.is_closing():
                return connection
            connection.abort()
        return None

    async def connection(self) -> "Connection":
        """Return a connection, a new one where none is idle. Raises UnreachableError."""
        while self._open >= MAX_CONNECTIONS:
            turn = self._loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()
                raise
            if found := self.idle_connection():
                return found
        connection = Connection(self, self._loop)
        self._open += 1
        try:
            await self._loop.create_connection(
                lambda: connection,
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
            )
        except BaseException as error:
            if not connection.made:
                self.lost()
            if isinstance(error, OSError | UnicodeError):
                raise UnreachableError(type(error).__name__) from error
            raise
        return connection

    def give_back(self, connection: "Connection", seconds: float) -> None:
        connection.usable_until = self._loop.time() + seconds
        self._idle.append(connection)
        self._wake()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def lost(self) -> None:
        self._open -= 1
        self._wake()

    def forget(self, connection: "Connection") -> None:
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        while self._idle:
            self._idle.pop().abort()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _sweep(self) -> None:
        now = self._loop.time()
        while self._idle and self._idle[0].usable_until <= now:
            self._idle.popleft().abort()
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if self._idle else None
