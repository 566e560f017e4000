"""What can go wrong with a call as its caller sees it, and what to do about each."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from gateway_contracts.error_class import ErrorClass, classify, is_quota
from gateway_contracts.exit_codes import ExitCode


class FailureClass(StrEnum):
    """Causes of a failed call or case.

    The first ten mean what `ErrorClass` says. The others exist only on the caller's side and are never in a
    request record: they are about what arrived, not about what the gateway did.
    """

    INVALID_REQUEST = ErrorClass.INVALID_REQUEST.value
    AUTHENTICATION = ErrorClass.AUTHENTICATION.value
    PERMISSION = ErrorClass.PERMISSION.value
    NOT_FOUND = ErrorClass.NOT_FOUND.value
    RATE_LIMIT = ErrorClass.RATE_LIMIT.value
    QUOTA = ErrorClass.QUOTA.value
    TIMEOUT = ErrorClass.TIMEOUT.value
    NETWORK = ErrorClass.NETWORK.value
    PROVIDER = ErrorClass.PROVIDER.value
    GATEWAY = ErrorClass.GATEWAY.value
    PROTOCOL = "protocol"  # an answer that is none: not JSON, the wrong shape, a redirect
    STREAM_CUT = "stream_cut"  # a stream that ended before it was complete
    MISSING_INPUT = "missing_input"  # a check needs something that the answer does not have
    BUDGET = "budget"  # --max-cost is spent, or cannot be watched because a call has no price
    INTERRUPTED = "interrupted"


ADVICE = {
    FailureClass.INVALID_REQUEST: "Compare the case's messages and parameters with what the model accepts.",
    FailureClass.AUTHENTICATION: "Give a valid key with --api-key-env, or correct the gateway's own.",
    FailureClass.PERMISSION: "The key is known but may not do this: ask for access to the endpoint or model.",
    FailureClass.NOT_FOUND: "See what there is with `gateway-eval check URL`; name one with --endpoint.",
    FailureClass.RATE_LIMIT: "Wait, or raise the limit; `--retry N` waits as long as the host asks.",
    FailureClass.QUOTA: "The provider account has no money left: add credit; trying again does not help.",
    FailureClass.TIMEOUT: "Give it longer with --timeout, or find out why the host is slow.",
    FailureClass.NETWORK: "Check that the host is up and that this machine may reach it.",
    FailureClass.PROVIDER: "The provider failed, not the gateway: look at its status page, or use --retry.",
    FailureClass.GATEWAY: "The gateway or its load balancer failed: look at its log and its members' health.",
    FailureClass.PROTOCOL: "Check that the URL is a gateway's and that no proxy in between answers instead.",
    FailureClass.STREAM_CUT: "Look at the read timeouts of everything between here and the provider.",
    FailureClass.MISSING_INPUT: "Remove the check, or use an endpoint whose answers have what it needs.",
    FailureClass.BUDGET: "Raise --max-cost, run fewer cases, or add the missing price with --prices.",
    FailureClass.INTERRUPTED: "Run again; cases that had ended are in the results file.",
}


@dataclass(frozen=True)
class Failure:
    """One failure: its class, what happened in one line, and what to do about it.

    `http_status` is null where no answer came. `retry_after_s` is in seconds, where the host stated one.
    """

    failure_class: FailureClass
    message: str
    advice: str
    http_status: int | None = None
    retry_after_s: float | None = None

    @classmethod
    def of(
        cls,
        failure_class: FailureClass,
        message: str,
        *,
        advice: str | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> Self:
        """Return a failure with its class's advice, unless a better one is given."""
        return cls(
            failure_class, one_line(message), advice or ADVICE[failure_class], http_status, retry_after_s
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the failure as the results file has it."""
        entry: dict[str, Any] = {
            "class": self.failure_class.value,
            "message": self.message,
            "advice": self.advice,
        }
        if self.retry_after_s is not None:
            entry["retry_after_s"] = self.retry_after_s
        return entry


class CallError(Exception):
    """A call, or a question to the host, that did not work."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def one_line(text: str, limit: int = 300) -> str:
    """Return text without line breaks or control characters, cut to a length that fits a table."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def from_answer(status: int, headers: dict[str, str], body: Any) -> Failure:
    """Return the failure of an answer with status 300 or above; body is decoded JSON, else text.

    Header names are in lower case.
    """
    if status < 400:
        where = headers.get("location", "")
        return Failure.of(
            FailureClass.PROTOCOL,
            f"HTTP {status}: the host redirects to {where or 'nowhere'}",
            advice="Redirects are not followed, so that no key goes to another host: give the final URL.",
            http_status=status,
        )
    cause = classify(status, body) or ErrorClass.PROVIDER
    if cause is ErrorClass.PROVIDER and not isinstance(body, dict | list):
        # A provider's error comes through a gateway as JSON; a page or plain text is the gateway's own.
        cause = ErrorClass.GATEWAY
    return Failure.of(
        _caller_side(cause),
        f"HTTP {status}: {error_message(body) or 'no message'}",
        http_status=status,
        retry_after_s=_seconds(headers.get("retry-after")),
    )


def from_error_body(body: Any, http_status: int) -> Failure:
    """Return the failure that a body reports although the status was a success, as streams do."""
    error = body.get("error") if isinstance(body, dict) else body
    stated = str(error.get("code")) if isinstance(error, dict) else ""
    status = int(stated) if re.fullmatch("[45][0-9][0-9]", stated) else 500
    if is_quota(body):
        cause = ErrorClass.QUOTA
    elif status == 500 and "rate_limit" in str(error).lower():
        cause = ErrorClass.RATE_LIMIT
    else:
        cause = classify(status, body) or ErrorClass.PROVIDER
    return Failure.of(
        _caller_side(cause), error_message(body) or "the answer is an error", http_status=http_status
    )


def error_message(body: Any) -> str:
    """Return the sentence that an error body of any known shape carries."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(filter(None, (error_message(item) for item in body[:3])))
    if isinstance(body, dict):
        if "msg" in body:  # FastAPI: {"detail": [{"loc": ["body", "messages"], "msg": "Field required"}]}
            where = ".".join(str(part) for part in body.get("loc") or () if part != "body")
            return f"{where}: {body['msg']}" if where else str(body["msg"])
        for key in ("error", "detail", "message"):
            if body.get(key):
                return error_message(body[key])
        return str(body) if body else ""
    return "" if body is None else str(body)


_EXITS = {
    FailureClass.AUTHENTICATION: ExitCode.AUTHENTICATION,
    FailureClass.PERMISSION: ExitCode.AUTHENTICATION,
    FailureClass.QUOTA: ExitCode.QUOTA,
    FailureClass.RATE_LIMIT: ExitCode.RATE_LIMITED,
    FailureClass.INTERRUPTED: ExitCode.INTERRUPTED,
}

# From the cause that explains the others to the one that explains least: without a host nothing works.
_PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.UNREACHABLE,
    ExitCode.AUTHENTICATION,
    ExitCode.QUOTA,
    ExitCode.RATE_LIMITED,
    ExitCode.CHECK_FAILED,
)


def exit_code(failure: Failure) -> ExitCode:
    """Return the exit code of one failure.

    Network trouble and timeouts mean "unreachable" only where no answer came: who says 504 was reached.
    """
    if failure.failure_class in (FailureClass.NETWORK, FailureClass.TIMEOUT) and failure.http_status is None:
        return ExitCode.UNREACHABLE
    return _EXITS.get(failure.failure_class, ExitCode.CHECK_FAILED)


def worst(codes: set[ExitCode]) -> ExitCode:
    """Return the one exit code for several outcomes; `OK` where there is none other."""
    return next((code for code in _PRECEDENCE if code in codes), ExitCode.OK)


def _caller_side(cause: ErrorClass) -> FailureClass:
    """Return the record's class as the caller's; a 499 that reaches a caller is the gateway's doing."""
    return FailureClass.GATEWAY if cause is ErrorClass.CLIENT_DISCONNECT else FailureClass(cause.value)


def _seconds(retry_after: str | None) -> float | None:
    """Return a Retry-After given in seconds; the form with a date is not used by any provider we know."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None
