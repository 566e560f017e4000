"""A look at every request that MLflow's app sends to a provider, and at its raw answer.

MLflow's providers speak HTTP through one function, `mlflow.gateway.providers.utils._aiohttp_post`; their
adapters drop parts of the answer afterwards. This puts in its place one that keeps connections open from call
to call, with an observer around it, and another observer where a traffic route chooses its endpoint.
Of the providers with a client library of their own, only Bedrock is seen (bedrock.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from fastapi import HTTPException
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS
from mlflow.gateway.providers import utils
from mlflow.gateway.providers.base import TrafficRouteProvider
from mlflow.gateway.ssrf import upstream_protection_enabled
from mlflow.utils.uri import append_to_uri_path

from gateway_contracts.error_class import ErrorClass
from gateway_serve import bedrock
from gateway_serve.call import Attempt, current_call
from gateway_serve.endpoints import Endpoint
from gateway_serve.failure import NEVER_SENT, cause_of, connecting
from gateway_serve.provider_client import MAX_CONNECTIONS
from gateway_serve.provider_connection import IDLE_S

_post = utils._aiohttp_post
_get_provider = TrafficRouteProvider._get_provider
_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()


def install() -> None:
    """Observe all requests to providers from now on; a second call changes nothing."""
    utils._aiohttp_post = _observed_post
    TrafficRouteProvider._get_provider = _observed_choice  # type: ignore[method-assign]
    bedrock.install()


async def close() -> None:
    """Close the connections of this process."""
    for one in list(_sessions.values()):
        await one.close()
    _sessions.clear()


@asynccontextmanager
async def _pooled_post(
    headers: dict[str, str], base_url: str, path: str, payload: Any, *, ssrf_protect: bool = True
) -> AsyncIterator[Any]:
    """Do what MLflow's own function does, over connections that stay open."""
    if ssrf_protect and upstream_protection_enabled():
        async with _post(headers, base_url, path, payload) as response:
            yield response
        return
    sent = {name: value for name, value in headers.items() if name.lower() not in utils._STRIPPED_HEADERS}
    sent["Accept-Encoding"] = utils.SUPPORTED_ACCEPT_ENCODING
    url = append_to_uri_path(base_url, path)  # type: ignore[no-untyped-call]
    seconds = MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get()  # type: ignore[no-untyped-call]
    timeout = aiohttp.ClientTimeout(total=seconds)

    async def post() -> aiohttp.ClientResponse:
        return await session().post(url, json=payload, headers=sent, timeout=timeout, allow_redirects=False)

    async with await connecting(post) as response:
        yield response


def session() -> aiohttp.ClientSession:
    """Return the session of this process for requests that take aiohttp."""
    loop = asyncio.get_running_loop()
    found = _sessions.get(loop)
    if found is None:
        found = _sessions[loop] = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=MAX_CONNECTIONS, keepalive_timeout=IDLE_S),
            # One call's cookies are no business of another's.
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=True,
            read_bufsize=2**20,  # as MLflow's: a line of a stream may be that long
        )
    return found


@asynccontextmanager
async def _observed_post(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    call = current_call.get()
    if call is None:
        async with _pooled_post(*args, **kwargs) as response:
            yield response
        return
    attempt = Attempt(call.chosen)
    call.attempts.append(attempt)
    try:
        async with _pooled_post(*args, **kwargs) as response:
            attempt.waited = perf_counter() - attempt.started
            attempt.status = response.status
            yield _ObservedResponse(response, attempt)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        if attempt.status is None:
            attempt.waited = perf_counter() - attempt.started
        attempt.failure = cause_of(error)
        attempt.reached = not isinstance(error, NEVER_SENT)
        raise
    finally:
        attempt.duration = perf_counter() - attempt.started


def _observed_choice(self: TrafficRouteProvider) -> Any:
    provider = _get_provider(self)  # type: ignore[no-untyped-call]
    if call := current_call.get():
        call.chosen = Endpoint.of(provider.config)
    return provider


class _ObservedResponse:
    """aiohttp's response as MLflow uses it; what is read from it is seen by the attempt."""

    def __init__(self, response: aiohttp.ClientResponse, attempt: Attempt) -> None:
        self._response = response
        self._attempt = attempt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    async def json(self, **kwargs: Any) -> Any:
        began = perf_counter()
        try:
            body = await self._response.json(**kwargs)
        except ValueError:
            body = None
        finally:
            self._attempt.waited += perf_counter() - began
        if self._response.status >= 400:
            self._attempt.error_body = body
            return _readable(body, self._response.reason)
        if not isinstance(body, dict):
            # MLflow would stumble over it, and answer 500 without a word.
            self._attempt.failure = ErrorClass.PROVIDER
            raise HTTPException(status_code=502, detail="The provider's answer is no JSON object.")
        self._attempt.answer.read_whole(body)
        return body

    async def text(self, **kwargs: Any) -> str:
        began = perf_counter()
        try:
            body = await self._response.text(**kwargs)
        finally:
            self._attempt.waited += perf_counter() - began
        if self._response.status >= 400:
            self._attempt.error_body = body
        return body

    @property
    def content(self) -> "_ObservedLines":
        return _ObservedLines(self._response.content, self._attempt)


class _ObservedLines:
    """The lines of a streamed answer, each seen and passed on at once."""

    def __init__(self, content: aiohttp.StreamReader, attempt: Attempt) -> None:
        self._lines = content.__aiter__()
        self._attempt = attempt

    def __aiter__(self) -> "_ObservedLines":
        return self

    async def __anext__(self) -> bytes:
        attempt = self._attempt
        began = perf_counter()
        try:
            line = await self._lines.__anext__()
        finally:
            now = perf_counter()
            attempt.waited += now - began
        answer = attempt.answer
        answer.read_lines(line)
        if answer.has_output and attempt.first_output_at is None:
            attempt.first_output_at = now
        return line


def _readable(body: Any, reason: str | None) -> Any:
    """Return an error's body as MLflow can read it: it takes `error` for an object if there is one."""
    if not isinstance(body, dict):
        return {"error": {"message": reason or "no reason given"}}
    if "error" in body and not isinstance(body["error"], dict):
        return body | {"error": {"message": str(body["error"])}}
    return body
