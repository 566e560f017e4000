"""One request and its answer on the wire."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")


class CallerLeft(Exception):  # noqa: N818 (a fact, not an error)
    """The caller closed the connection before it had its answer."""


class BodyTooLarge(Exception):  # noqa: N818 (the same)
    """The request's body is larger than any provider takes."""


class Exchange:
    """One request and its answer. Waits end early, by CallerLeft, when the caller goes."""

    LARGEST_BODY = 32 * 1024 * 1024

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None

    async def body(self) -> bytes:
        """Return the request's body."""
        message = await self._receive()
        first: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if message["type"] == "http.disconnect":
                raise CallerLeft
            return first
        parts, size = [first], len(first)
        while message.get("more_body"):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.LARGEST_BODY:
                raise BodyTooLarge
        return b"".join(parts)

    async def start(self, status: int, headers: Headers) -> None:
        """Send the status and the headers."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes, *, more: bool) -> None:
        """Send a part of the body; the answer ends with the part that has no `more`."""
        if self._watch is not None and self._watch.done():
            raise CallerLeft
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send an answer in one piece."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.write(body, more=False)

    def watch(self) -> asyncio.Task[None]:
        """Begin to notice when the caller leaves. Only after the body was read."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._until_gone())
        return self._watch

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than the caller does."""
        done, _ = await asyncio.wait({self.watch()}, timeout=max(seconds, 0))
        if done:
            raise CallerLeft

    async def abort(self) -> None:
        """Close the connection at once, whatever was sent."""
        transport = self.scope.get("extensions", {}).get("emulator.transport")
        if transport is not None:
            transport.abort()
            await self.watch()

    def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.cancel()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
