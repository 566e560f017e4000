"""One call of a caller: what is learned of it on its way, and the records that it leaves."""

from contextvars import ContextVar
from time import gmtime, perf_counter, strftime, time_ns
from typing import Any

from gateway_contracts.error_class import ErrorClass, classify
from gateway_contracts.request_record import SCHEMA_VERSION, fitting
from gateway_serve import tokenizer
from gateway_serve.answer import Answer
from gateway_serve.endpoints import Endpoint

CLIENT_CLOSED_REQUEST = 499  # nginx's number for a caller that left first

_second: tuple[int, str] = (0, "")


def _now() -> str:
    """Return the time as records have it: UTC, RFC 3339, microseconds."""
    global _second
    seconds, rest = divmod(time_ns(), 1_000_000_000)
    if _second[0] != seconds:
        _second = (seconds, strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)))
    return f"{_second[1]}.{rest // 1000:06d}Z"


class Attempt:
    """One request to a provider."""

    __slots__ = (
        "answer",
        "duration",
        "endpoint",
        "error_body",
        "failure",
        "first_output_at",
        "reached",
        "started",
        "status",
        "waited",
    )

    def __init__(self, endpoint: Endpoint | None) -> None:
        self.endpoint = endpoint
        countable = endpoint is not None and tokenizer.at_hand(endpoint.model) is not None
        self.answer = Answer(keep_output=countable)
        self.started = perf_counter()
        self.duration = 0.0  # seconds, until it was over
        self.reached = True  # the provider may have got it
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
        self.received_at = _now()
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

    def begin_fallback(self) -> None:
        """Take note that another provider is asked next; a request that reached none leaves no record."""
        if self.attempts and not self.attempts[-1].reached:
            self.attempts.pop()

    def records(self) -> list[dict[str, Any]]:
        """Return the record of each request to a provider, and last that of what the caller got.

        What all records of a process have in common is null in them.
        """
        milliseconds = (perf_counter() - self.started) * 1000
        attempts = self.attempts
        records = [
            self._record(
                attempt,
                number,
                status=attempt.status or (504 if attempt.failure is ErrorClass.TIMEOUT else 502),
                error_class=attempt.error_class,
                milliseconds=attempt.duration * 1000,
            )
            for number, attempt in enumerate(attempts[:-1], 1)
        ]
        records.append(
            self._record(
                attempts[-1] if attempts else None,
                max(len(attempts), 1),
                status=CLIENT_CLOSED_REQUEST if self.left else self.status or 500,
                error_class=self._error_class(),
                milliseconds=milliseconds,
                final=True,
            )
        )
        return records

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

    def _record(
        self,
        attempt: Attempt | None,
        number: int,
        status: int,
        error_class: ErrorClass | None,
        milliseconds: float,
        final: bool = False,
    ) -> dict[str, Any]:
        endpoint = (attempt.endpoint if attempt else None) or self.chosen
        provider = endpoint.provider if endpoint else None
        answer = attempt.answer if attempt else _NO_ANSWER
        usage = answer.usage(provider)
        counted = usage.input_tokens is not None or usage.output_tokens is not None
        partial = answer.chunks > 0 and attempt is not None and (attempt.was_cut or not counted)
        output_tokens = usage.output_tokens
        if partial and output_tokens is None and endpoint is not None:
            output_tokens = answer.count_output(endpoint.model)
        first = attempt.first_output_at if attempt else None
        # In the order of the contract, which is the fastest to encode.
        return {
            "schema_version": SCHEMA_VERSION,
            "request_id": self.request_id,
            "boot_id": None,
            "sequence": None,
            "attempt": number,
            "final": final,
            "received_at": self.received_at,
            "host": None,
            "instance": None,
            "client_address": self.client_address,
            "api_key_id": self.api_key_id,
            "end_user": self.end_user,
            "endpoint": fitting("endpoint", self.endpoint) if self.endpoint else None,
            "operation": self.operation,
            "stream": self.stream,
            "provider": provider,
            "request_model": endpoint.model if endpoint else None,
            "response_model": answer.response_model,
            "service_tier": answer.service_tier,
            "http_status": status,
            "error_class": error_class,
            "input_tokens": usage.input_tokens,
            "cached_input_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "output_tokens": output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "input_audio_tokens": usage.input_audio_tokens,
            "output_audio_tokens": usage.output_audio_tokens,
            "usage_source": "partial" if partial else "provider" if counted else None,
            "provider_cost_usd": usage.provider_cost_usd,
            "finish_reason": answer.finish_reason,
            "duration_ms": round(milliseconds, 3),
            "upstream_ms": round(attempt.waited * 1000, 3) if attempt else None,
            "time_to_first_token_ms": None if first is None else round((first - self.started) * 1000, 3),
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes if final else 0,
            "gateway_version": None,
            "config_digest": None,
        }


_NO_ANSWER = Answer()

# The call that the code running now works for; None outside of a call.
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
