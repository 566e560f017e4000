"""A look at the calls to Amazon Bedrock, which MLflow makes with AWS's own client and not over HTTP itself.

The client works in threads that know nothing of a call. So this watches the four places of MLflow's provider
where a call begins, and the two through which every raw answer passes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

from fastapi import HTTPException
from mlflow.gateway.providers.bedrock import AmazonBedrockProvider

from gateway_contracts.error_class import ErrorClass
from gateway_serve.call import Attempt, current_call

_chat = AmazonBedrockProvider._chat
_chat_stream = AmazonBedrockProvider._chat_stream
_embeddings = AmazonBedrockProvider._embeddings
_completions = AmazonBedrockProvider._completions
_whole = AmazonBedrockProvider._converse_to_chat_response
_event = AmazonBedrockProvider._parse_stream_event


def install() -> None:
    """Observe all calls to Bedrock from now on; a second call changes nothing."""
    provider: Any = AmazonBedrockProvider
    provider._chat = _observed(_chat)
    provider._embeddings = _observed(_embeddings)
    provider._completions = _observed(_completions)
    provider._chat_stream = _observed_stream
    provider._converse_to_chat_response = _observed_whole
    provider._parse_stream_event = _observed_event


def _observed(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def observed(self: Any, payload: Any) -> Any:
        call = current_call.get()
        if call is None or self._is_token_auth:  # over HTTP, and seen there
            return await method(self, payload)
        attempt = Attempt(call.chosen)
        call.attempts.append(attempt)
        try:
            result = await method(self, payload)
        except Exception as error:
            raise _noted(attempt, error) from error
        finally:
            attempt.duration = attempt.waited = perf_counter() - attempt.started
        attempt.status = 200
        if method is not _chat and (usage := getattr(result, "usage", None)) is not None:
            # Of these, MLflow's own answer has all that Bedrock counts.
            attempt.answer.read_whole({"usage": usage.model_dump(exclude_none=True)})
        return result

    return observed


async def _observed_stream(self: Any, payload: Any) -> AsyncIterator[Any]:
    call = current_call.get()
    if call is None or self._is_token_auth:
        async for chunk in _chat_stream(self, payload):
            yield chunk
        return
    attempt = Attempt(call.chosen)
    call.attempts.append(attempt)
    try:
        async for chunk in _chat_stream(self, payload):
            attempt.status = 200
            yield chunk
    except Exception as error:
        raise _noted(attempt, error) from error
    finally:
        attempt.duration = attempt.waited = perf_counter() - attempt.started


def _observed_whole(self: Any, response: Any) -> Any:
    if (attempt := _current_attempt()) is not None:
        attempt.answer.read_whole(response)
    return _whole(self, response)


def _observed_event(self: Any, event: Any) -> Any:
    if (attempt := _current_attempt()) is not None:
        attempt.answer.read_converse_event(event)
        if attempt.answer.has_output and attempt.first_output_at is None:
            attempt.first_output_at = perf_counter()
    return _event(self, event)


def _current_attempt() -> Attempt | None:
    call = current_call.get()
    return call.attempts[-1] if call is not None and call.attempts else None


def _noted(attempt: Attempt, error: Exception) -> Exception:
    """Take note of a failure, and return it as one that has a status."""
    from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

    if isinstance(error, ClientError):
        about = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        attempt.status, attempt.error_body = status, {"error": {"message": about.get("Message")}}
        return HTTPException(status, about.get("Message") or about.get("Code"))
    if isinstance(error, BotoCoreError):
        timeout = "Timeout" in type(error).__name__
        network = isinstance(error, ConnectionError | HTTPClientError)
        attempt.failure = (
            ErrorClass.TIMEOUT if timeout else ErrorClass.NETWORK if network else ErrorClass.GATEWAY
        )
        # Not the error's own message: it names hosts and settings.
        reason = "did not answer in time" if timeout else "could not be asked"
        return HTTPException(504 if timeout else 502, f"The provider {reason} ({type(error).__name__}).")
    return error
