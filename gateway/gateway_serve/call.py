"""One call of a caller: what is learned of it on its way, and the records that it leaves."""

from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from gateway_contracts.error_class import ErrorClass, classify
from gateway_serve.answer import Answer
from gateway_serve.endpoints import Endpoint

CLIENT_CLOSED_REQUEST = 499  # nginx's number for a caller that left first


class Attempt:
    """One request to a provider."""

    __slots__ = (
        "answer",
        "duration",
        "endpoint",
        "error_body",
        "failure",
        "first_output_at",
        "started",
        "status",
        "waited",
    )

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint
        self.answer = Answer()
        self.started = perf_counter()
        self.duration = 0.0  # seconds, until it was over
        self.waited = 0.0  # seconds spent waiting for the provider
        self.first_output_at: float | None = None
        self.status: int | None = None
        self.error_body: Any = None
        self.failure: ErrorClass | None = None  # it was not answered, or not to the end

    @property
    def error_class(self) -> ErrorClass | None:
        """What went wrong with it; None where nothing did as far as is known."""
        if self.failure is not None:
            return self.failure
        if self.status is not None and self.status >= 400:
            return classify(self.status, self.error_body)
        return self.answer.error_class

    @property
    def was_cut(self) -> bool:
        """Whether it was a stream in a known format that ended before the provider said so."""
        return self.answer.chunks > 0 and self.answer.finish_reason is None and not self.answer.ended


class Call:
    """One call, from its first byte to its record."""

    __slots__ = (
        "api_key_id",
        "attempts",
        "chosen",
        "client_address",
        "complete",
        "end_user",
        "endpoint",
        "failed_in_stream",
        "known_endpoint",
        "left",
        "operation",
        "received_at",
        "refused",
        "request_bytes",
        "request_id",
        "response_bytes",
        "started",
        "status",
        "stream",
        "ticket",
    )

    def __init__(self, request_id: str, client_address: str) -> None:
        self.request_id = request_id
        self.client_address = client_address
        self.received_at = datetime.now(UTC)
        self.started = perf_counter()
        self.api_key_id: str | None = None
        self.refused: ErrorClass | None = None  # the gatekeeper did not let it in
        self.ticket: Any = None  # the gatekeeper's own note of it
        self.endpoint: str | None = None
        self.known_endpoint = True  # False: the caller named one that is not in the configuration
        self.operation: str | None = None
        self.stream = False
        self.end_user: str | None = None
        self.chosen: Endpoint | None = None  # the endpoint that serves it; a traffic route chooses late
        self.attempts: list[Attempt] = []
        self.request_bytes = 0
        self.response_bytes = 0
        self.status: int | None = None
        self.complete = False  # the last byte has been handed over
        self.left = False  # the caller went away before that
        self.failed_in_stream = False  # an error that came too late for a status

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the record of each request to a provider, and last that of what the caller got."""
        duration = perf_counter() - self.started
        for number, attempt in enumerate(self.attempts[:-1], 1):
            yield (
                self._common()
                | self._of_attempt(attempt)
                | {
                    "attempt": number,
                    "final": False,
                    "http_status": attempt.status or 502,
                    "error_class": attempt.error_class,
                    "duration_ms": attempt.duration * 1000,
                    "response_bytes": 0,
                }
            )
        yield (
            self._common()
            | self._of_attempt(self.attempts[-1] if self.attempts else None)
            | {
                "attempt": max(len(self.attempts), 1),
                "final": True,
                "http_status": CLIENT_CLOSED_REQUEST if self.left else self.status or 500,
                "error_class": self._error_class(),
                "duration_ms": duration * 1000,
                "response_bytes": self.response_bytes,
            }
        )

    def _error_class(self) -> ErrorClass | None:
        if self.left:
            return ErrorClass.CLIENT_DISCONNECT
        if self.refused is not None:
            return self.refused
        status = self.status or 500
        last = self.attempts[-1] if self.attempts else None
        failed = status >= 400 or self.failed_in_stream or not self.complete
        if last is not None and last.error_class is not None and (failed or self.stream):
            return last.error_class
        if not failed:
            return ErrorClass.NETWORK if self.stream and last is not None and last.was_cut else None
        if not self.known_endpoint:
            return ErrorClass.NOT_FOUND
        if last is not None and status in (502, 504):
            return ErrorClass.PROVIDER  # it answered, with something that is no answer
        return classify(status) if 400 <= status < 500 else ErrorClass.GATEWAY

    def _common(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "received_at": self.received_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "client_address": self.client_address,
            "api_key_id": self.api_key_id,
            "end_user": self.end_user,
            "endpoint": self.endpoint,
            "operation": self.operation,
            "stream": self.stream,
            "request_bytes": self.request_bytes,
        }

    def _of_attempt(self, attempt: Attempt | None) -> dict[str, Any]:
        endpoint = (attempt.endpoint if attempt else None) or self.chosen
        provider = endpoint.provider if endpoint else None
        facts: dict[str, Any] = {"provider": provider, "request_model": endpoint.model if endpoint else None}
        if attempt is None:
            return facts
        answer = attempt.answer
        usage = answer.usage(provider)
        counted = usage.input_tokens is not None or usage.output_tokens is not None
        partial = answer.chunks > 0 and (attempt.was_cut or not counted)
        first = attempt.first_output_at
        return facts | {
            "response_model": answer.response_model,
            "service_tier": answer.service_tier,
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "input_audio_tokens": usage.input_audio_tokens,
            "output_audio_tokens": usage.output_audio_tokens,
            "usage_source": "partial" if partial else "provider" if counted else None,
            "provider_cost_usd": usage.provider_cost_usd,
            "finish_reason": answer.finish_reason,
            "upstream_ms": attempt.waited * 1000,
            "time_to_first_token_ms": None if first is None else (first - self.started) * 1000,
        }


# The call that the code running now works for; None outside of a call.
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
