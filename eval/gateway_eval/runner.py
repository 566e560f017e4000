"""Runs one case against one host, one call after the other, and keeps what came of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway_eval.cases import Call, Case
from gateway_eval.chat import ChatOutcome, chat
from gateway_eval.checks import CheckResult, judge
from gateway_eval.failure import CallError, Failure, FailureClass
from gateway_eval.health import ask_health
from gateway_eval.http_client import HttpClient
from gateway_eval.http_request import send
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.results import CaseResult, HostRecord, TurnResult
from gateway_eval.target import Endpoint, Target, as_provider

# What may be gone the next time; anything else comes again, and costs again.
_PASSING = frozenset(
    {
        FailureClass.RATE_LIMIT,
        FailureClass.NETWORK,
        FailureClass.TIMEOUT,
        FailureClass.PROVIDER,
        FailureClass.GATEWAY,
        FailureClass.STREAM_CUT,
    }
)
_LONGEST_WAIT_S = 60.0
_NO_ENDPOINT = Endpoint("")


@dataclass(frozen=True)
class Settings:
    """What a run does the same way on every host.

    `narrate` takes a line of progress; `pause` waits so many seconds and tells whether the run was given up.
    """

    pricing: Pricing
    budget: Budget
    narrate: Callable[[str], None]
    pause: Callable[[float], bool]
    provider: str | None = None
    stream_all: bool = False
    retries: int = 0


@dataclass(frozen=True)
class Runner:
    """Runs cases on one host; safe to use from several threads."""

    settings: Settings
    client: HttpClient
    target: Target
    host: HostRecord

    def run(self, case: Case, result: CaseResult) -> None:
        """Run a case; what is known is in its result at any time. Nothing is raised for a failure."""
        started = time.perf_counter()
        try:
            if case.health:
                result.health = ask_health(self.client, self.target.api)
                result.error = result.health.failure
            else:
                self._converse(case, self._endpoint(case), result)
        except CallError as error:
            result.error = error.failure
        finally:
            result.duration_ms = round((time.perf_counter() - started) * 1000, 1)

    def _endpoint(self, case: Case) -> Endpoint:
        if not case.endpoint and not case.needs_endpoint:
            return _NO_ENDPOINT
        if case.endpoint is None:
            if self.host.endpoint is None:
                raise CallError(Failure.of(FailureClass.NOT_FOUND, "there is no endpoint to call"))
            return self.host.endpoint
        try:
            return as_provider(self.target.endpoint(case.endpoint), self.settings.provider)
        except ValueError as error:
            raise CallError(Failure.of(FailureClass.INVALID_REQUEST, str(error))) from error

    def _converse(self, case: Case, endpoint: Endpoint, result: CaseResult) -> None:
        history: list[dict[str, Any]] = []
        for number, call in enumerate(case.calls, 1):
            turn = self._call(case, call, endpoint, history, number, result)
            turn.checks = judge(call.checks, turn.outcome, turn.cost)
            failure = turn.outcome.failure
            if call.expect_error:
                turn.checks.append(_expected_error(call.expect_error, failure))
            expected = failure is None or failure.failure_class.value in call.expect_error
            if not expected and not _judged_by_status(call, turn.outcome):
                result.error = failure
                return
            unjudged = next((check for check in turn.checks if check.passed is None), None)
            if unjudged is not None and result.error is None:
                result.error = Failure.of(
                    FailureClass.MISSING_INPUT,
                    f"{unjudged.name}: {unjudged.detail}",
                    http_status=turn.outcome.http_status,
                )
            if failure is None:
                answer = {"role": "assistant", "content": turn.outcome.output or ""}
                history = [*history, *call.messages, answer]

    def _call(
        self,
        case: Case,
        call: Call,
        endpoint: Endpoint,
        history: list[dict[str, Any]],
        number: int,
        result: CaseResult,
    ) -> TurnResult:
        """Make a call, and again as often as was asked for; every attempt is kept, as each may be billed."""
        for attempt in range(1, self.settings.retries + 2):
            self.settings.budget.require()
            # In the result before the call is made: an interruption leaves it there as what it is.
            interrupted = Failure.of(FailureClass.INTERRUPTED, "interrupted during the call")
            stream = call.request is None and (call.stream or self.settings.stream_all)
            turn = TurnResult(
                number,
                attempt,
                endpoint,
                datetime.now(UTC),
                ChatOutcome(stream, failure=interrupted),
                messages=call.messages,
            )
            result.turns.append(turn)
            if call.request is not None:
                turn.outcome = send(self.client, self.target, endpoint, call.request)
            else:
                turn.outcome = chat(
                    self.client,
                    self.target,
                    endpoint,
                    [*history, *call.messages],
                    stream=stream,
                    parameters=case.parameters,
                )
            if turn.asks_model:
                turn.cost, turn.cost_source = self.settings.pricing.cost(
                    endpoint, turn.outcome, turn.started_at
                )
                self.settings.budget.note(endpoint, turn.outcome, turn.cost)
            wait = self._wait_before_retry(turn, call)
            if wait is None:
                break
            if self.settings.pause(wait):
                raise CallError(Failure.of(FailureClass.INTERRUPTED, "interrupted before another attempt"))
        return turn

    def _wait_before_retry(self, turn: TurnResult, call: Call) -> float | None:
        """Return the seconds to wait before trying again; None where that is not to be done."""
        failure = turn.outcome.failure
        if failure is None or turn.attempt > self.settings.retries or failure.failure_class not in _PASSING:
            return None
        if failure.failure_class.value in call.expect_error:
            return None
        wait = (
            failure.retry_after_s
            if failure.retry_after_s is not None
            else min(2.0 ** (turn.attempt - 1), 30.0)
        )
        if wait > _LONGEST_WAIT_S:
            self.settings.narrate(f"    not retried: the host asks for a wait of {wait:g} s")
            return None
        self.settings.narrate(
            f"    {failure.failure_class.value}: {failure.message}; attempt {turn.attempt + 1} in {wait:g} s"
        )
        return wait


def _judged_by_status(call: Call, outcome: ChatOutcome) -> bool:
    """Tell whether a request says itself which status it expects: then a refusal is no error by itself."""
    return call.request is not None and "status" in call.checks and outcome.http_status is not None


def _expected_error(expected: tuple[str, ...], failure: Failure | None) -> CheckResult:
    found = failure.failure_class.value if failure else "no error"
    return CheckResult("expect_error", found in expected, f"expected {' or '.join(expected)}, found {found}")
