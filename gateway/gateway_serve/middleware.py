"""Around the gateway app: every LLM call is served, watched, and leaves its records whatever happens."""

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS

from gateway_serve.asgi import App, Receive, Scope, Send
from gateway_serve.call import Call, current_call
from gateway_serve.caller import Caller
from gateway_serve.direct_call import DirectCall
from gateway_serve.direct_endpoint import DirectRequest, direct_endpoints
from gateway_serve.endpoints import Endpoint
from gateway_serve.failure import CallFailedError
from gateway_serve.gatekeeper import Gatekeeper, Refusal
from gateway_serve.provider_client import ProviderClient
from gateway_serve.request_log import RequestLog

__all__ = ["App", "CallRecorder"]

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
        self._app = app
        self._endpoints = endpoints
        self._log = log
        self._gatekeeper = gatekeeper
        self._direct = direct_endpoints(app)
        seconds = MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get()  # type: ignore[no-untyped-call]
        self._direct_call = DirectCall(ProviderClient(), seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        target = _target(scope)
        if target is None:
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        call = Call(request_id(scope["headers"]), client[0] if client else "")
        caller = Caller(call, receive, send)
        try:
            await self._serve(scope, call, caller, target)
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
                await caller.answer(500, _BROKEN)
        finally:
            caller.end_watch()
            records = list(call.records())
            for record in records:
                self._log.append(record)
            self._gatekeeper.settle(call, records)

    async def _serve(self, scope: Scope, call: Call, caller: Caller, target: _Target) -> None:
        body = await caller.read_body()
        payload = _decoded(body)
        refusal = self._admit(scope, call, target, body, payload)
        if call.left:
            return
        if refusal is not None:
            await caller.answer(refusal.status, refusal.body, refusal.headers)
            return
        request = self._direct_request(scope, call, target, body, payload)
        if request is None:
            token = current_call.set(call)
            try:
                await caller.serve_with(self._app, scope, body)
            finally:
                current_call.reset(token)
            return
        caller.watch_soon()
        try:
            await self._direct_call.serve(call, caller, request)
        except CallFailedError as failure:
            await caller.refuse(failure.status, failure.detail, failure.headers)

    def _admit(
        self, scope: Scope, call: Call, target: _Target, body: bytes, payload: Mapping[str, Any]
    ) -> Refusal | None:
        """Learn from the request's body what the call asks for, and ask whether it may."""
        call.request_bytes = len(body)
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

    def _direct_request(
        self, scope: Scope, call: Call, target: _Target, body: bytes, payload: Mapping[str, Any]
    ) -> DirectRequest | None:
        """Return the request to the provider where the call needs no adapter."""
        direct = self._direct.get(call.endpoint) if call.endpoint else None
        if direct is None or not payload or not _is_json(scope["headers"]):
            return None
        by_name = target.operation is None
        if by_name and direct.has_limit:
            return None
        chosen = direct.choose()
        if chosen.endpoint.operation != call.operation:
            return None
        request = chosen.request(body, payload, by_name)
        if request is not None:
            call.chosen = chosen.endpoint
        return request


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


def _is_json(headers: Any) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return bool(value.partition(b";")[0].strip().lower() == b"application/json")
    return False


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
