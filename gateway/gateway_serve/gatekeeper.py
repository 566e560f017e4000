"""Who may call, and how often: asked before a call goes to a provider, told when it is over."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway_contracts.error_class import ErrorClass
from gateway_serve.api_keys import ApiKey
from gateway_serve.asgi import Scope
from gateway_serve.call import Call
from gateway_serve.key_file import KeyFile
from gateway_serve.limits import Excess, Limits
from gateway_serve.metrics import Metrics
from gateway_serve.request_log import RequestLog

# What OpenAI's and Anthropic's clients wait for at most before they try again by themselves.
_LONGEST_WAIT_S = 60
_MESSAGES = "/v1/messages"

# In the order in which they count: OpenAI's, Anthropic's, Azure's.
_KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key")


class Refusal(NamedTuple):
    """The answer to a call that is not let in."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]  # besides content type and length
    body: bytes  # JSON, in the error format of the API that was called
    error_class: ErrorClass


class Gatekeeper:
    """Checks keys, counts what they use, and counts every call for the metrics.

    Without `keys` everybody is let in. With `log_required` nobody is while records cannot be written.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: RequestLog,
        *,
        log_required: bool = False,
        keys: KeyFile | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._log_required = log_required
        self._keys = keys
        self._limits = limits or Limits()

    def admit(self, scope: Scope, call: Call, body: Mapping[str, Any]) -> Refusal | None:
        """Say whether a call goes on, once it is known what it asks for; None lets it in.

        `scope` is the ASGI scope of the request, `body` its decoded JSON, empty where it is no object.
        The caller's key is taken out of the scope, so that it goes nowhere else.
        """
        call.ticket = _Ticket()
        self._metrics.in_flight.add(1)
        refusal = self._check(scope, call, body)
        return _as_anthropic(refusal) if refusal is not None and scope["path"] == _MESSAGES else refusal

    def _check(self, scope: Scope, call: Call, body: Mapping[str, Any]) -> Refusal | None:
        if self._log_required and self._log.problem is not None:
            return _NO_LOG
        found = self.authenticate(scope)
        if found is None or isinstance(found, Refusal):
            return found
        call.api_key_id = found.id
        if found.endpoints is not None and call.endpoint not in found.endpoints:
            return _no_permission(call, body)
        return self._count(call, found)

    def authenticate(self, scope: Scope) -> ApiKey | Refusal | None:
        """Return the key with which a request comes, or why it has none that is valid; None without keys.

        The key is taken out of the scope.
        """
        if self._keys is None:
            return None
        secret = _take_key(scope)
        if secret is None:
            return _NO_KEY
        key = self._keys.keys.find(secret)
        if key is None:
            return _WRONG_KEY
        return key if key.is_valid_at(datetime.now(UTC)) else _KEY_OUT_OF_TIME

    def settle(self, call: Call, records: Sequence[Mapping[str, Any]]) -> None:
        """Take note of a call that is over, let in or not, and of its records, the final one last."""
        ticket = call.ticket
        if ticket is not None:
            self._metrics.in_flight.add(-1)
            if ticket.counts_tokens and (tokens := _tokens(records)):
                self._limits.add_tokens(call.api_key_id or "", tokens)
        self._metrics.count(records, call.attempts)

    def _count(self, call: Call, key: ApiKey) -> Refusal | None:
        if key.requests_per_minute is None and key.tokens_per_minute is None:
            return None
        instances = self._keys.keys.instances if self._keys is not None else 1
        excess = self._limits.take(
            key.id, _share(key.requests_per_minute, instances), _share(key.tokens_per_minute, instances)
        )
        if excess is not None:
            return _limit_reached(key, excess)
        call.ticket.counts_tokens = key.tokens_per_minute is not None
        return None


class _Ticket:
    """What the gatekeeper remembers of a call that it saw."""

    __slots__ = ("counts_tokens",)

    def __init__(self) -> None:
        self.counts_tokens = False


def _take_key(scope: Scope) -> bytes | None:
    """Return the caller's key, and leave the scope without it."""
    headers = scope["headers"]
    found = {name: value for name, value in headers if name in _KEY_HEADERS}
    if not found:
        return None
    scope["headers"] = [header for header in headers if header[0] not in _KEY_HEADERS]
    for name in _KEY_HEADERS:
        value: bytes = found.get(name, b"").strip()
        if name == b"authorization":
            scheme, _, value = value.partition(b" ")
            value = value.strip() if scheme.lower() == b"bearer" else b""
        if value:
            return value
    return None


def _share(limit: int | None, instances: int) -> int | None:
    """Return this instance's part of a limit, rounded up: the load balancers spread calls evenly."""
    return None if limit is None else -(-limit // instances)


def _tokens(records: Iterable[Mapping[str, Any]]) -> int:
    return sum(
        max(record.get(name) or 0, 0) for record in records for name in ("input_tokens", "output_tokens")
    )


def _refusal(
    status: int,
    error_class: ErrorClass,
    kind: str,
    code: str | None,
    message: str,
    *headers: tuple[bytes, bytes],
) -> Refusal:
    # https://platform.openai.com/docs/guides/error-codes
    error = {"message": message, "type": kind, "param": None, "code": code}
    return Refusal(status, headers, json.dumps({"error": error}).encode(), error_class)


def _unauthorized(code: str | None, message: str) -> Refusal:
    return _refusal(
        401,
        ErrorClass.AUTHENTICATION,
        "invalid_request_error",
        code,
        message,
        (b"www-authenticate", b"Bearer"),
    )


_NO_KEY = _unauthorized(
    None,
    "You didn't provide an API key. Provide it in an Authorization header using Bearer auth "
    "(Authorization: Bearer YOUR_KEY), in x-api-key or in api-key.",
)
_WRONG_KEY = _unauthorized("invalid_api_key", "Incorrect API key provided.")
_KEY_OUT_OF_TIME = _unauthorized("invalid_api_key", "This API key has expired, or is not valid yet.")
_NO_LOG = _refusal(
    503,
    ErrorClass.GATEWAY,
    "server_error",
    "request_log_unavailable",
    "This gateway cannot account for calls at present and takes none. Try again later.",
    (b"retry-after", b"5"),
)


def _as_anthropic(refusal: Refusal) -> Refusal:
    # https://docs.anthropic.com/en/api/errors
    kind = _ANTHROPIC_TYPES.get(refusal.status, "api_error")
    message = json.loads(refusal.body)["error"]["message"]
    return refusal._replace(
        body=json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    )


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def _no_permission(call: Call, body: Mapping[str, Any]) -> Refusal:
    if call.endpoint is not None:
        return _refusal(
            403,
            ErrorClass.PERMISSION,
            "invalid_request_error",
            "permission_denied",
            f"This API key may not use the endpoint '{call.endpoint}'.",
        )
    # Not passed on either: what reads the request next may read it differently and find an endpoint in it.
    if call.known_endpoint and not body:
        message = "The request's body is no JSON object that names an endpoint as its `model`."
        return _refusal(400, ErrorClass.INVALID_REQUEST, "invalid_request_error", None, message)
    return _refusal(
        404,
        ErrorClass.NOT_FOUND,
        "invalid_request_error",
        "model_not_found",
        "The endpoint that the request names does not exist, or this API key may not use it.",
    )


def _limit_reached(key: ApiKey, excess: Excess) -> Refusal:
    seconds = min(excess.seconds, _LONGEST_WAIT_S)
    limit = key.requests_per_minute if excess.what == "requests" else key.tokens_per_minute
    return _refusal(
        429,
        ErrorClass.RATE_LIMIT,
        excess.what,
        "rate_limit_exceeded",
        f"Rate limit reached for this API key: {limit} {excess.what} per minute. Try again in {seconds} s.",
        (b"retry-after", str(seconds).encode()),
    )
