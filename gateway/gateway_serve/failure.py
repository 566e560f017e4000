"""Why a request to a provider came to nothing, and what its caller is told of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from fastapi import HTTPException
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS
from mlflow.exceptions import MlflowException
from mlflow.gateway.exceptions import AIGatewayException
from mlflow.gateway.providers.utils import _error_detail

from gateway_contracts.error_class import ErrorClass
from gateway_serve.error_style import ErrorStyle
from gateway_serve.provider_connection import UnreachableError

# Nothing was sent to the provider: such a call may be tried again without being billed twice.
NEVER_SENT = (UnreachableError, aiohttp.ClientConnectorError)

# What another provider may do better. https://platform.openai.com/docs/guides/error-codes
_WORTH_A_FALLBACK = frozenset({429, *range(500, 600)})


_Answer = TypeVar("_Answer")

# Between the tries to connect to a provider, of which there is one more.
_CONNECT_WAITS_S = (0.05, 0.2)


class CallFailedError(Exception):
    """A request to a provider that came to nothing before anything was sent to the caller.

    `body` is the provider's own, where it goes to the caller as it is.
    """

    def __init__(self, status: int, detail: Any, retry_after: bytes = b"", body: bytes | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail
        self.headers = ((b"retry-after", retry_after),) if retry_after else ()
        self.body = body


async def connecting(send: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Send a request, and try again, a little later each time, where no connection could be made."""
    for wait in _CONNECT_WAITS_S:
        try:
            return await send()
        except NEVER_SENT:
            await asyncio.sleep(wait)
    return await send()


def worth_a_fallback(status: int) -> bool:
    """Say whether another provider may answer where one answered with this status."""
    return status in _WORTH_A_FALLBACK


def describe(error: Exception) -> tuple[int, Any]:
    """Return the status and the detail with which a failure is told to the caller."""
    match error:
        case HTTPException() | AIGatewayException():
            return error.status_code, error.detail
        case MlflowException():
            status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
            return status, {"error_code": error.error_code, "message": error.message}
        case TimeoutError():
            seconds = MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS.get()  # type: ignore[no-untyped-call]
            return 504, f"The provider did not answer within {seconds} seconds."
        case aiohttp.ClientError() | OSError():
            # Not the error's own message: it names hosts of the inner network.
            return (
                502,
                f"The provider could not be reached, or broke the connection ({type(error).__name__}).",
            )
        case _:
            return 500, "Internal Server Error"


def cause_of(error: Exception) -> ErrorClass:
    """Return the cause of a request to a provider that was not answered, or not to its end."""
    if isinstance(error, TimeoutError):
        return ErrorClass.TIMEOUT
    return ErrorClass.NETWORK if isinstance(error, aiohttp.ClientError | OSError) else ErrorClass.PROVIDER


def detail_of_refusal(body: Any, reason: str, streamed: bool) -> Any:
    """Return the detail of a provider's error from its decoded body, in MLflow's two ways of doing it."""
    if streamed:
        return (body if isinstance(body, str) else _error_detail(body)) or reason
    if not isinstance(body, dict):
        return reason or "no reason given"
    if "error" not in body:
        return body
    error = body["error"]
    return error.get("message", reason) if isinstance(error, dict) else str(error)


def failure_event(error: Exception, style: ErrorStyle = ErrorStyle.MLFLOW) -> bytes:
    """Return the event that tells a stream's caller that it failed."""
    return style.event(*describe(error))
