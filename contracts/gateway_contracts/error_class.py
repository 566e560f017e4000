"""What went wrong with a call, told apart by cause."""

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


# Codes that providers put in an error body when the account is out of money, not when it is too fast.
# https://platform.openai.com/docs/guides/error-codes
QUOTA_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit balance is too low")

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
    """Return the cause of an answer with this HTTP status and body; None for a success.

    The body tells quota from rate limit: both come as 429. It may be text or decoded JSON of any shape.
    """
    if status < 400:
        return None
    if status in (400, 403, 429) and any(code in str(body).lower() for code in QUOTA_CODES):
        return ErrorClass.QUOTA
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorClass.PROVIDER if status >= 500 else ErrorClass.INVALID_REQUEST
