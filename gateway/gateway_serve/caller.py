"""The caller's side of one call: its request, what is sent to it, and whether it is still there."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from gateway_serve.asgi import App, Headers, Message, Receive, Scope, Send
from gateway_serve.call import Call

_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")

# A watch costs a task. An answer that is there sooner needs none: its caller cannot have left long ago.
# It begins after one to two of these.
_LOOK_S = 0.025


class Lookout:
    """Begins to watch callers that wait for longer than a moment; one timer for all of them."""

    def __init__(self) -> None:
        self._new: list[Caller] = []
        self._older: list[Caller] = []
        self._ticks = False

    def add(self, caller: "Caller") -> None:
        """Watch this caller soon."""
        self._new.append(caller)
        if not self._ticks:
            self._ticks = True
            asyncio.get_running_loop().call_later(_LOOK_S, self._tick)

    def _tick(self) -> None:
        for caller in self._older:
            caller.watch_if_waiting()
        self._older, self._new = self._new, []
        self._ticks = bool(self._older)
        if self._ticks:
            asyncio.get_running_loop().call_later(_LOOK_S, self._tick)


class Caller:
    """Whoever made a call. What is sent through this is counted in the call.

    The end of an answer is kept until `finish`, so that the call's records can be written before it.
    """

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        self._call = call
        self._receive = receive
        self._send = send
        self._body: bytes | None = None
        self._gone: asyncio.Event | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._over = False
        self._task: asyncio.Task[Any] | None = None
        self._end: tuple[Message, ...] = ()

    async def read_body(self) -> bytes:
        """Return the request's body; `call.left` says whether the caller left before its end."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            body: bytes = message.get("body", b"")
            return body
        parts = []
        while message["type"] == "http.request":
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)
            message = await self._receive()
        self._call.left = True
        return b"".join(parts)

    def watch_soon(self, lookout: Lookout) -> None:
        """Notice from soon on when the caller leaves, and cancel this task then."""
        if self._task is None:
            self._task = asyncio.current_task()
            lookout.add(self)

    def watch(self) -> None:
        """Notice from now on when the caller leaves, and cancel this task then."""
        self._task = asyncio.current_task()
        self.watch_if_waiting()

    def watch_if_waiting(self) -> None:
        """Begin to watch, unless that has begun or the call is over."""
        if self._watcher is None and not self._over:
            self._watcher = asyncio.create_task(self._watch())

    def end_watch(self) -> None:
        """Take no more notice."""
        self._over = True
        if self._watcher is not None:
            self._watcher.cancel()

    async def serve_with(
        self, app: App, scope: Scope, body: bytes, withheld: Callable[[int], bool] | None = None
    ) -> bool:
        """Let an ASGI app answer; return whether it did: an answer whose status is `withheld` is not sent."""
        self._body = body
        self._gone = asyncio.Event()
        self.watch()
        refused = False

        async def send(message: Message) -> None:
            nonlocal refused
            if withheld and message["type"] == "http.response.start":
                refused = withheld(message["status"])
            if not refused:
                await self._count(message)

        await app(scope, self._replay, send if withheld else self._count)
        return not refused

    def answer(self, status: int, body: bytes, more_headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with JSON."""
        call = self._call
        call.status = status
        call.response_bytes = len(body)
        headers = [
            _JSON,
            (b"content-length", b"%d" % len(body)),
            *more_headers,
            (b"x-request-id", call.request_id.encode("ascii")),
        ]
        self._end = (
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body},
        )
        call.complete = True

    async def finish(self) -> None:
        """Send the end of the answer, where it has one: all of it, or what comes after a stream's pieces."""
        messages, self._end = self._end, ()
        for message in messages:
            await self._send(message)

    async def begin_events(self) -> None:
        """Send the head of a stream of server-sent events."""
        call = self._call
        call.status = 200
        headers: Headers = [_EVENTS, (b"x-request-id", call.request_id.encode("ascii"))]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send_events(self, data: bytes) -> None:
        """Send a piece of the stream."""
        self._call.response_bytes += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def end_events(self) -> None:
        """Say that the stream is complete."""
        self._call.complete = True
        self._end = ({"type": "http.response.body", "body": b""},)

    async def _watch(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while (await self._receive())["type"] != "http.disconnect":
                pass
            call = self._call
            if call.complete:
                return
            call.left = True
            if self._gone is not None:
                self._gone.set()
                # An app's answer that has begun stops by itself when it hears of the disconnect.
                if call.status is not None:
                    return
            if self._task is not None:
                self._task.cancel()

    async def _replay(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
        if self._gone is not None:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _count(self, message: Message) -> None:
        call = self._call
        if message["type"] == "http.response.start":
            call.status = message["status"]
            headers = [
                header for header in message.get("headers", ()) if header[0].lower() != b"x-request-id"
            ]
            message["headers"] = [*headers, (b"x-request-id", call.request_id.encode("ascii"))]
        elif message["type"] == "http.response.body":
            call.response_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                call.complete = True
                self._end = (message,)
                return
        await self._send(message)
