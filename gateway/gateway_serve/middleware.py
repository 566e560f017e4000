"""Around the gateway app: every LLM call is watched and leaves its records, whatever becomes of it."""

import asyncio
import contextlib
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple

from gateway_serve.call import Call, current_call
from gateway_serve.endpoints import Endpoint
from gateway_serve.gatekeeper import Gatekeeper, Refusal
from gateway_serve.request_log import RequestLog

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_logger = logging.getLogger(__name__)

_BY_MODEL = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/v1/embeddings": "embeddings"}
_BY_NAME = re.compile(r"/(?:gateway|endpoints)/([^/]+)/invocations")

# What a request id may consist of: it goes into logs, headers and file searches.
_NO_REQUEST_ID = re.compile(r"[^A-Za-z0-9._:+/=@-]")
_MAX_REQUEST_ID = 128

_BROKEN = b'{"detail":"Internal Server Error"}'


class _Target(NamedTuple):
    """What the path of a call names."""

    operation: str | None
    endpoint: str | None


class CallRecorder:
    """ASGI middleware that gives every LLM call its request id and its records."""

    def __init__(
        self, app: App, endpoints: Mapping[str, Endpoint], log: RequestLog, gatekeeper: Gatekeeper
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._log = log
        self._gatekeeper = gatekeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        target = _target(scope)
        if target is None:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        call = Call(request_id(scope["headers"]), client[0] if client else "")
        token = current_call.set(call)
        try:
            await _Connection(call, receive, send).serve(
                self._app, scope, lambda body: self._admit(scope, call, target, body)
            )
        finally:
            current_call.reset(token)
            records = list(call.records())
            for record in records:
                self._log.append(record)
            self._gatekeeper.settle(call, records)

    def _admit(self, scope: Scope, call: Call, target: _Target, body: bytes) -> Refusal | None:
        """Learn from the request's body what the call asks for, and ask whether it may."""
        call.request_bytes = len(body)
        payload = _decoded(body)
        call.stream = payload.get("stream") in (True, "true", "True", 1)
        user = payload.get("user")
        call.end_user = user if isinstance(user, str) else None
        name = target.endpoint if target.operation is None else payload.get("model")
        endpoint = self._endpoints.get(name) if isinstance(name, str) else None
        call.known_endpoint = endpoint is not None or not isinstance(name, str)
        call.operation = target.operation or (endpoint.operation if endpoint else None)
        if endpoint is not None:
            call.endpoint = endpoint.name
            call.chosen = endpoint if endpoint.provider else None
        refusal = None if call.left else self._gatekeeper.admit(scope, call, payload)
        if refusal is not None:
            call.refused = refusal.error_class
        return refusal


class _Connection:
    """The caller's side of one call: watches it leave, counts what it gets."""

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        self._call = call
        self._receive = receive
        self._send = send
        self._body: bytes | None = None
        self._gone = asyncio.Event()

    async def serve(self, app: App, scope: Scope, admit: Callable[[bytes], Refusal | None]) -> None:
        call = self._call
        body = await self._read_body()
        refusal = admit(body)
        if call.left:
            return
        if refusal is not None:
            await self._answer(refusal.status, refusal.body, refusal.headers)
            return
        self._body = body
        task = asyncio.current_task()
        watcher = asyncio.create_task(self._watch(task))
        try:
            await app(scope, self._replay, self._count)
        except asyncio.CancelledError:
            # Ours, because the caller left: end quietly. Another's: pass it on.
            if not call.left or task is None:
                raise
            task.uncancel()
        except Exception as error:
            # Not passed on: the server would log the message, which may quote the call's content.
            _logger.error(
                "a call failed with %s",
                type(error).__name__,
                exc_info=error,
                extra={"request_id": call.request_id},
            )
            if call.status is None:
                await self._answer(500, _BROKEN)
        finally:
            watcher.cancel()

    async def _read_body(self) -> bytes:
        parts = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._call.left = True
                break
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        return b"".join(parts)

    async def _watch(self, task: "asyncio.Task[Any] | None") -> None:
        """Notice that the caller leaves, and stop what is done for it."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        call = self._call
        if call.complete:
            return
        call.left = True
        self._gone.set()
        # A response that has begun stops by itself when it hears of the disconnect.
        if call.status is None and task is not None:
            task.cancel()

    async def _replay(self) -> Message:
        body, self._body = self._body, None
        if body is not None:
            return {"type": "http.request", "body": body, "more_body": False}
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
        await self._send(message)

    async def _answer(
        self, status: int, body: bytes, more_headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *more_headers,
        ]
        with contextlib.suppress(Exception):
            await self._count({"type": "http.response.start", "status": status, "headers": headers})
            await self._count({"type": "http.response.body", "body": body})


def request_id(headers: Any) -> str:
    """Return the call's `X-Request-ID` as far as it is fit to be one, else a new id."""
    for name, value in headers:
        if name == b"x-request-id":
            given = _NO_REQUEST_ID.sub("", value.decode("latin-1"))[:_MAX_REQUEST_ID]
            if given:
                return str(given)
    return uuid.uuid4().hex


def _target(scope: Scope) -> _Target | None:
    """Return what an LLM call names; None for anything else."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path = scope["path"]
    if operation := _BY_MODEL.get(path):
        return _Target(operation, None)
    if match := _BY_NAME.fullmatch(path):
        return _Target(None, match[1])
    return None


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}
