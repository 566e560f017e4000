"""Serves one call: straight to the provider or through MLflow's app, and with a fallback where one fails."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS

from gateway_serve import upstream
from gateway_serve.asgi import App, Scope
from gateway_serve.call import Call, current_call
from gateway_serve.call_path import CallPath
from gateway_serve.caller import Caller, Lookout
from gateway_serve.direct_call import DirectCall
from gateway_serve.direct_endpoint import DirectRequest, direct_endpoints
from gateway_serve.endpoints import Endpoint
from gateway_serve.error_style import ErrorStyle
from gateway_serve.failure import CallFailedError, worth_a_fallback
from gateway_serve.provider_client import ProviderClient

# What a caller of Anthropic's API may switch on; all other headers stay here, credentials above all.
_PASSED_HEADERS = {"messages": (b"anthropic-beta",), "responses": (b"openai-beta",)}

_NO_MODEL = "you must provide a model parameter: the name of an endpoint; GET /v1/models lists them."

_Fallback = Callable[[], str | None]


class CallServer:
    """Serves the calls of one worker process; `app` is MLflow's gateway app."""

    def __init__(self, app: Any, endpoints: Mapping[str, Endpoint]) -> None:
        self._app: App = app
        self._endpoints = endpoints
        self._direct = direct_endpoints(app)
        self._client = ProviderClient()
        self._lookout = Lookout()
        seconds = MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get()  # type: ignore[no-untyped-call]
        self._direct_call = DirectCall(self._client, seconds)

    async def close(self) -> None:
        """Close the connections to providers."""
        self._client.close()
        await upstream.close()

    async def serve(
        self,
        scope: Scope,
        call: Call,
        caller: Caller,
        path: CallPath,
        body: bytes,
        payload: Mapping[str, Any],
    ) -> None:
        """Answer the caller, with the first of the endpoint and its fallbacks that can."""
        by_name = path.operation is None
        if not by_name and payload and payload.get("model") is None and path.is_mlflows:
            caller.answer(400, ErrorStyle.OPENAI.body(400, _NO_MODEL))
            return
        request = self._direct_request(scope, call, call.endpoint, body, payload, by_name)
        if request is None and not path.is_mlflows:
            _refuse(caller, path.style, call, payload)
            return
        fallbacks: list[str] | None = None

        def fallback() -> str | None:
            """Return the next endpoint to try; which one was first is only known once it was tried."""
            nonlocal fallbacks
            if fallbacks is None:
                first = self._endpoints.get(call.chosen.name) if call.chosen else None
                fallbacks = [
                    name
                    for name in (first.fallbacks if first else ())
                    if path.is_mlflows or (call.operation, name) in self._direct
                ]
            return fallbacks[0] if fallbacks else None

        while True:
            if request is not None:
                call.chosen = request.endpoint.endpoint
                failed = await self._serve_direct(call, caller, path.style, request, fallback)
            else:
                failed = await self._serve_with_app(scope, call, caller, body, fallback)
            name = fallback() if failed else None
            if name is None or fallbacks is None:
                return
            fallbacks.pop(0)
            call.begin_fallback()
            request = self._direct_request(scope, call, name, body, payload, by_name)
            if request is None:
                scope, body = _for_endpoint(scope, name, payload)
                call.chosen = self._endpoints[name]

    async def _serve_direct(
        self, call: Call, caller: Caller, style: ErrorStyle, request: DirectRequest, fallback: _Fallback
    ) -> bool:
        """Return whether the call failed and the caller has not been told, since there is a fallback."""
        caller.watch_soon(self._lookout)
        try:
            await self._direct_call.serve(call, caller, request)
        except CallFailedError as error:
            if worth_a_fallback(error.status) and fallback():
                return True
            body = style.body(error.status, error.detail) if error.body is None else error.body
            caller.answer(error.status, body, error.headers)
        return False

    async def _serve_with_app(
        self, scope: Scope, call: Call, caller: Caller, body: bytes, fallback: _Fallback
    ) -> bool:
        """Return whether the call failed and the caller has not been told, since there is a fallback."""
        attempts = len(call.attempts)

        def withheld(status: int) -> bool:
            return worth_a_fallback(status) and len(call.attempts) > attempts and bool(fallback())

        token = current_call.set(call)
        try:
            return not await caller.serve_with(self._app, scope, body, withheld)
        finally:
            current_call.reset(token)

    def _direct_request(
        self,
        scope: Scope,
        call: Call,
        name: str | None,
        body: bytes,
        payload: Mapping[str, Any],
        by_name: bool,
    ) -> DirectRequest | None:
        """Return the request to the provider where the call needs no adapter."""
        operation = call.operation
        if name is None or operation is None or not payload:
            return None
        direct = self._direct.get((operation, name))
        if direct is None or (by_name and direct.has_limit):
            return None
        passed = _PASSED_HEADERS.get(operation)
        if passed is None and not _is_json(scope["headers"]):
            return None
        more = (
            b"".join(b"%b: %b\r\n" % pair for pair in scope["headers"] if pair[0] in passed)
            if passed
            else b""
        )
        return direct.choose().request(body, payload, by_name, more)


def _is_json(headers: Any) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return bool(
                value == b"application/json"
                or value.partition(b";")[0].strip().lower() == b"application/json"
            )
    return False


def _for_endpoint(scope: Scope, name: str, payload: Mapping[str, Any]) -> tuple[Scope, bytes]:
    """Return the call as if it had been made of another endpoint, by name."""
    path = f"/gateway/{name}/invocations"
    body = orjson.dumps({key: value for key, value in payload.items() if key != "model"})
    headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
    headers.append((b"content-length", b"%d" % len(body)))
    return {**scope, "path": path, "raw_path": path.encode(), "headers": headers}, body


def _refuse(caller: Caller, style: ErrorStyle, call: Call, payload: Mapping[str, Any]) -> None:
    """Answer a call of an API that MLflow's app does not have, and that no endpoint can serve."""
    if call.endpoint is None:
        status, message = 404, "`model` names no endpoint; GET /v1/models lists those that there are."
        if not payload:
            status, message = 400, "The body is no JSON object."
    else:
        provider = "Anthropic" if style is ErrorStyle.ANTHROPIC else "OpenAI"
        status, message = (
            400,
            f"The endpoint '{call.endpoint}' cannot serve this: it is no chat endpoint of {provider}.",
        )
    caller.answer(status, style.body(status, message))
