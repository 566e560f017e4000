"""What went wrong with a call, told apart by cause."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any


class ErrorClass(StrEnum):
    """Cause of a failed call; `null` in a record means success."""

    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    TIMEOUT = "timeout"
    NETWORK = "network"
    PROVIDER = "provider"
    GATEWAY = "gateway"
    CLIENT_DISCONNECT = "client_disconnect"


# What providers say when the account is out of money, not when it is too fast: codes and types where the body
# still has them, and the sentences that remain where a gateway passes on only the message, as MLflow does.
# https://platform.openai.com/docs/guides/error-codes  https://docs.anthropic.com/en/api/errors
# https://api-docs.deepseek.com/quick_start/error_codes  https://docs.litellm.ai/docs/proxy/users
QUOTA_MARKERS = (
    "insufficient_quota",
    "exceeded your current quota",
    "billing_hard_limit_reached",
    "billing hard limit has been reached",
    "billing_not_active",
    "account is not active, please check your billing details",
    "billing_error",
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
    "budget_exceeded",
    "budget has been exceeded",
)

# Gemini words its per-minute limits as a quota too, but then says when to try again; no empty account does.
# https://ai.google.dev/gemini-api/docs/troubleshooting
_RETRY_MARKERS = ("retry in ", "retrydelay")

# The keys in which a body says what is wrong. Others (FastAPI's `input`) echo what the caller wrote.
_CAUSE_KEYS = (
    "error",
    "errors",
    "error_code",
    "detail",
    "details",
    "message",
    "msg",
    "code",
    "type",
    "status",
    "reason",
)

_BY_STATUS = {
    401: ErrorClass.AUTHENTICATION,
    402: ErrorClass.QUOTA,
    403: ErrorClass.PERMISSION,
    404: ErrorClass.NOT_FOUND,
    408: ErrorClass.TIMEOUT,
    429: ErrorClass.RATE_LIMIT,
    499: ErrorClass.CLIENT_DISCONNECT,
    504: ErrorClass.TIMEOUT,
}


def classify(status: int, body: Any = None) -> ErrorClass | None:
    """Return the cause of an answer with this HTTP status and body; None for a success (status below 400).

    The body tells quota from rate limit: both come as 429, and providers differ in the rest: Anthropic says
    400 for an empty account, others 402 or 403. It may be bytes, text or decoded JSON of any shape.
    """
    if status < 400:
        return None
    if status in (400, 403, 429) and is_quota(body):
        return ErrorClass.QUOTA
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorClass.PROVIDER if status >= 500 else ErrorClass.INVALID_REQUEST


def is_quota(body: Any) -> bool:
    """Tell whether an error body says that the account has no money left."""
    text = " ".join(_causes(_decoded(body))).lower()
    return any(marker in text for marker in QUOTA_MARKERS) and not any(
        marker in text for marker in _RETRY_MARKERS
    )


def _decoded(body: Any) -> Any:
    """Return JSON text decoded, and anything else as it is."""
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str) and body.lstrip().startswith(("{", "[")):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return body
    return body


def _causes(body: Any, depth: int = 0) -> Iterator[str]:
    """Yield every text that a body gives as a cause, down to a depth that no real body exceeds."""
    if depth > 8:
        return
    if isinstance(body, dict):
        for key, value in body.items():
            if str(key).lower() in _CAUSE_KEYS:
                yield from _causes(value, depth + 1)
            elif str(key).lower() in _RETRY_MARKERS:
                yield str(key)
    elif isinstance(body, list):
        for value in body:
            yield from _causes(value, depth + 1)
    elif isinstance(body, str):
        yield body
