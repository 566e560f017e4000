"""Around the gateway app: every LLM call is served, watched, and leaves its records whatever happens."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any

import orjson

from gateway_contracts.request_record import fitting
from gateway_serve.asgi import App, Receive, Scope, Send
from gateway_serve.call import Call
from gateway_serve.call_path import CallPath, call_path
from gateway_serve.call_server import CallServer
from gateway_serve.caller import Caller
from gateway_serve.endpoints import Endpoint
from gateway_serve.gatekeeper import Gatekeeper, Refusal
from gateway_serve.models_page import ModelsPage
from gateway_serve.request_log import RequestLog

__all__ = ["App", "CallRecorder"]

_logger = logging.getLogger(__name__)

# What a request id may consist of: it goes into logs, headers and file searches.
_NO_REQUEST_ID = re.compile(r"[^A-Za-z0-9._:+/=@-]")
_MAX_REQUEST_ID = 128

_BROKEN = b'{"detail":"Internal Server Error"}'


class CallRecorder:
    """ASGI middleware that gives every LLM call its request id and its records.

    `app` is MLflow's gateway app. Calls that need no adapter go to the provider from here, all others
    through it.
    """

    def __init__(
        self,
        app: Any,
        endpoints: Mapping[str, Endpoint],
        log: RequestLog,
        gatekeeper: Gatekeeper,
    ) -> None:
        self._app: App = app
        self._endpoints = endpoints
        self._log = log
        self._gatekeeper = gatekeeper
        self._server = CallServer(app, endpoints)
        self._models = ModelsPage(endpoints)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        path = call_path(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if path is None:
            await self._serve_other(scope, receive, send)
            return
        client = scope.get("client")
        call = Call(request_id(scope["headers"]), fitting("client_address", client[0]) if client else "")
        caller = Caller(call, receive, send)
        try:
            await self._serve(scope, call, caller, path)
        except asyncio.CancelledError:
            # Ours, because the caller left: end quietly. Another's: pass it on.
            task = asyncio.current_task()
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
                caller.answer(500, _BROKEN)
        finally:
            caller.end_watch()
            records = call.records()
            self._gatekeeper.settle(call, records)
            # Before the end of the answer goes out: whoever has an answer, there is a record of it.
            await self._log.write(records)
            await caller.finish()

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is no LLM call."""
        if scope["type"] == "http" and scope["method"] == "GET" and self._models.knows(scope["path"]):
            await self._models.answer(scope["path"], send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if scope["type"] == "lifespan":
                await self._server.close()

    async def _serve(self, scope: Scope, call: Call, caller: Caller, path: CallPath) -> None:
        body = await caller.read_body()
        payload = _decoded(body)
        refusal = self._admit(scope, call, path, body, payload)
        if call.left:
            return
        if refusal is not None:
            caller.answer(refusal.status, refusal.body, refusal.headers)
            return
        await self._server.serve(scope, call, caller, path, body, payload)

    def _admit(
        self, scope: Scope, call: Call, path: CallPath, body: bytes, payload: Mapping[str, Any]
    ) -> Refusal | None:
        """Learn from the request's body what the call asks for, and ask whether it may."""
        call.request_bytes = len(body)
        call.stream = payload.get("stream") in (True, "true", "True", 1)
        user = payload.get("user")
        call.end_user = fitting("end_user", user) if isinstance(user, str) else None
        name = path.endpoint if path.operation is None else payload.get("model")
        endpoint = self._endpoints.get(name) if isinstance(name, str) else None
        call.known_endpoint = endpoint is not None or not isinstance(name, str)
        call.operation = path.operation or (endpoint.operation if endpoint else None)
        if endpoint is not None:
            call.endpoint = endpoint.name
            call.chosen = endpoint if endpoint.provider else None
        refusal = None if call.left else self._gatekeeper.admit(scope, call, payload)
        if refusal is not None:
            call.refused = refusal.error_class
        return refusal


def request_id(headers: Any) -> str:
    """Return the call's `X-Request-ID` as far as it is fit to be one, else a new id."""
    for name, value in headers:
        if name == b"x-request-id":
            given = _NO_REQUEST_ID.sub("", value.decode("latin-1"))[:_MAX_REQUEST_ID]
            if given:
                return str(given)
    return f"{getrandbits(128):032x}"  # told apart, not kept secret


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        payload = orjson.loads(body)
    except ValueError:
        # Python's decoder takes some more, as NaN, and so does MLflow.
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return {}
    return payload if isinstance(payload, dict) else {}
