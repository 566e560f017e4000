"""How a call's failure is told to its caller: a status and a detail, in MLflow's words where it has some."""

import json
from typing import Any

import aiohttp
import orjson
from fastapi import HTTPException
from mlflow.environment_variables import MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS
from mlflow.exceptions import MlflowException
from mlflow.gateway.exceptions import AIGatewayException
from mlflow.gateway.providers.utils import _error_detail

from gateway_contracts.error_class import ErrorClass


class CallFailedError(Exception):
    """A request to a provider that came to nothing before anything was sent to the caller."""

    def __init__(self, status: int, detail: Any, retry_after: bytes = b"") -> None:
        super().__init__(status)
        self.status = status
        self.detail = detail
        self.headers = ((b"retry-after", retry_after),) if retry_after else ()


def describe(error: Exception) -> tuple[int, Any]:
    """Return the status and the detail with which a failure is told to the caller."""
    match error:
        case CallFailedError() | HTTPException() | AIGatewayException():
            return error.status if isinstance(error, CallFailedError) else error.status_code, error.detail
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


def failure_event(error: Exception) -> bytes:
    """Return the event that tells a stream's caller that it failed, in the form in which OpenAI sends one."""
    status, detail = describe(error)
    message = detail if isinstance(detail, str) else json.dumps(detail)
    about = {"message": message, "type": "stream_error", "code": status}
    return b"data: " + orjson.dumps({"error": about}) + b"\n\n"
