"""One request of a call straight to its provider, and the way of the answer to the caller."""

import contextlib
import logging
from time import perf_counter
from typing import Any

import orjson
from aiohttp import ClientError

from gateway_contracts.error_class import ErrorClass
from gateway_serve import proxied_client, upstream
from gateway_serve.call import Attempt, Call
from gateway_serve.caller import Caller
from gateway_serve.direct_endpoint import DirectRequest
from gateway_serve.event_stream import EventStream, EventStreamError
from gateway_serve.failure import (
    NEVER_SENT,
    CallFailedError,
    cause_of,
    connecting,
    describe,
    detail_of_refusal,
    failure_event,
)
from gateway_serve.provider_client import ProviderClient
from gateway_serve.provider_connection import Response
from gateway_serve.proxied_client import ProxiedResponse
from gateway_serve.usage import mapping

_logger = logging.getLogger(__name__)

# Comments and the like before the first event of a stream.
_MAX_HELD_BYTES = 1024 * 1024


class DirectCall:
    """Sends requests to providers over one worker's connections."""

    def __init__(self, client: ProviderClient, seconds: float) -> None:
        self._client = client
        self._seconds = seconds

    async def serve(self, call: Call, caller: Caller, request: DirectRequest) -> None:
        """Ask the provider and answer the caller. Raises CallFailedError where nothing has been sent yet."""
        endpoint = request.endpoint
        attempt = Attempt(endpoint.endpoint)
        call.attempts.append(attempt)
        response: Response | ProxiedResponse | None = None
        try:
            response = await self._post(request)
            attempt.status = response.status
            attempt.waited = perf_counter() - attempt.started
            if request.stream and _is_event_stream(response):
                await self._pass_events(call, caller, request, attempt, response)
            else:
                body = await _read(response, attempt)
                answer = _checked(request, attempt, response, body)
                response.close()
                caller.answer(200, answer)
        except CallFailedError:
            raise
        except Exception as error:
            attempt.failure = cause_of(error)
            attempt.reached = not isinstance(error, NEVER_SENT)
            if response is None:
                attempt.waited = perf_counter() - attempt.started
            raise CallFailedError(*describe(error)) from error
        finally:
            if response is not None:
                response.close()
            attempt.duration = perf_counter() - attempt.started

    async def _post(self, request: DirectRequest) -> Response | ProxiedResponse:
        target = request.endpoint.target
        if target.proxied:
            body, more = request.body, request.more_headers
            return await connecting(
                lambda: proxied_client.post(upstream.session(), target, body, more, self._seconds)
            )
        data = target.request(request.body, request.more_headers)
        return await connecting(lambda: self._client.post(target, data, self._seconds))

    async def _pass_events(
        self,
        call: Call,
        caller: Caller,
        request: DirectRequest,
        attempt: Attempt,
        response: Response | ProxiedResponse,
    ) -> None:
        answer = attempt.answer
        stream = EventStream(answer, request.endpoint.signature, request.hide_usage, request.hide_end)
        held = b""
        began = perf_counter()
        try:
            while piece := await response.read_some():
                now = perf_counter()
                attempt.waited += now - began
                out = stream.pass_on(piece)
                if answer.has_output and attempt.first_output_at is None:
                    attempt.first_output_at = now
                if call.status is None:
                    out = held = held + out
                    if not _has_begun(attempt, held):
                        began = perf_counter()
                        continue
                    await caller.begin_events()
                if out:
                    await caller.send_events(out)
                began = perf_counter()
            attempt.waited += perf_counter() - began
            out = stream.rest()
            if call.status is None:
                out = held + out
                if not _has_begun(attempt, out):
                    attempt.failure = ErrorClass.PROVIDER
                    raise CallFailedError(502, "The provider's stream had no event.")
                await caller.begin_events()
            if out:
                await caller.send_events(out)
        except (OSError, ClientError, EventStreamError) as error:
            if call.status is None:
                raise
            # Too late for a status: the caller gets an error event, in the form in which OpenAI sends one.
            attempt.failure = cause_of(error)
            call.failed_in_stream = True
            _logger.warning(
                "a stream failed with %s", type(error).__name__, extra={"request_id": call.request_id}
            )
            await caller.send_events(failure_event(error, request.endpoint.style))
        caller.end_events()


def _has_begun(attempt: Attempt, held: bytes) -> bool:
    """Say whether there is something to tell the caller, whose status is not yet sent.

    A first event that is an error still can have a status: raises CallFailedError.
    """
    answer = attempt.answer
    if answer.error is not None and answer.events == 1:
        code = mapping(answer.error.get("error")).get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 502
        raise CallFailedError(status, detail_of_refusal(answer.error, "", streamed=False))
    if not answer.events and len(held) > _MAX_HELD_BYTES:
        raise EventStreamError("nothing but what is no event")
    return answer.events > 0


def _is_event_stream(response: Response | ProxiedResponse) -> bool:
    # Whoever sends events without saying so is believed to send them, as by MLflow.
    return response.status < 400 and b"application/json" not in response.header(b"content-type")


async def _read(response: Response | ProxiedResponse, attempt: Attempt) -> bytes:
    began = perf_counter()
    try:
        return await response.read()
    finally:
        attempt.waited += perf_counter() - began


def _checked(
    request: DirectRequest, attempt: Attempt, response: Response | ProxiedResponse, body: bytes
) -> bytes:
    """Return the answer as the caller gets it. Raises CallFailedError where it is none."""
    content_type = response.header(b"content-type")
    status = response.status
    document: Any = None
    if b"application/json" in content_type or (request.stream and status >= 400):
        with contextlib.suppress(ValueError):
            document = orjson.loads(body)
    if status >= 400:
        attempt.error_body = document if document is not None else body.decode("utf-8", "replace")
        retry_after = response.header(b"retry-after")
        if request.endpoint.as_it_is:
            said = "The provider answered with an error that is no JSON."
            raise CallFailedError(status, said, retry_after, body if isinstance(document, dict) else None)
        if request.stream:
            detail = detail_of_refusal(attempt.error_body, response.reason, streamed=True)
        elif b"application/json" in content_type:
            detail = detail_of_refusal(document, response.reason, streamed=False)
        elif b"text/plain" in content_type:
            detail = {"message": attempt.error_body}
        else:
            raise CallFailedError(502, _unsupported(content_type))
        raise CallFailedError(status, detail, retry_after)
    answer = attempt.answer
    if b"application/json" not in content_type:
        attempt.failure = ErrorClass.PROVIDER
        raise CallFailedError(502, _unsupported(content_type))
    if not isinstance(document, dict):
        attempt.failure = ErrorClass.PROVIDER
        raise CallFailedError(502, "The provider's answer is no JSON object.")
    answer.read_whole(document)
    endpoint = request.endpoint
    if not isinstance(document.get(endpoint.answer_key), list):
        attempt.failure = answer.error_class or ErrorClass.PROVIDER
        if document.get("error"):
            detail = detail_of_refusal(document, response.reason, streamed=False)
            raise CallFailedError(502, detail, body=body if endpoint.as_it_is else None)
        raise CallFailedError(502, f"The provider's answer has no {endpoint.answer_key}.")
    if not endpoint.signature:
        return body
    if "provider" in document:
        del document["provider"]
        body = orjson.dumps(document)
    return body.rstrip()[:-1] + endpoint.signature + b"}"


def _unsupported(content_type: bytes) -> str:
    # MLflow's words.
    return (
        "The returned data type from the route service is not supported. Received content type: "
        f"{content_type.decode('latin-1') or None}"
    )
