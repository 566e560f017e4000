"""Runs cases against a host, one call after the other, and keeps what came of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway_eval.cases import Call, Case
from gateway_eval.chat import ChatOutcome, chat
from gateway_eval.checks import CheckResult, judge
from gateway_eval.failure import CallError, Failure, FailureClass
from gateway_eval.health import ask_health
from gateway_eval.http_client import HttpClient
from gateway_eval.pricing import Budget, Pricing
from gateway_eval.results import CaseResult, RunResult, TurnResult
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


@dataclass
class Runner:
    """Runs cases. `default_endpoint` serves the cases that name none; `narrate` takes a line of progress."""

    client: HttpClient
    target: Target
    default_endpoint: Endpoint | None
    pricing: Pricing
    budget: Budget
    narrate: Callable[[str], None]
    provider: str | None = None
    stream_all: bool = False
    retries: int = 0
    fail_fast: bool = False
    sleep: Callable[[float], None] = field(default=time.sleep)

    def run(self, cases: list[Case], repeat: int, result: RunResult) -> None:
        """Run every case `repeat` times, into `result`. An interruption ends it; what was done stays."""
        plan = [(case, number) for number in range(1, repeat + 1) for case in cases]
        result.planned = len(plan)
        for position, (case, number) in enumerate(plan, 1):
            case_result = CaseResult(case.name, number)
            result.cases.append(case_result)
            started = time.perf_counter()
            try:
                self._run_case(case, case_result)
            except KeyboardInterrupt:
                case_result.error = Failure.of(FailureClass.INTERRUPTED, "interrupted")
                result.stopped = "interrupted"
            finally:
                case_result.duration_ms = round((time.perf_counter() - started) * 1000, 1)
            self._tell(case_result, f"[{position}/{len(plan)}] {case.name}")
            if case_result.error is not None and case_result.error.failure_class is FailureClass.BUDGET:
                result.stopped = "budget"
            elif self.fail_fast and case_result.status != "passed":
                result.stopped = result.stopped or "fail_fast"
            if result.stopped:
                return

    def _tell(self, case: CaseResult, label: str) -> None:
        self.narrate(f"{label}: {case.status} in {case.duration_ms:.0f} ms")
        if case.error is not None:
            self.narrate(f"    {case.error.failure_class.value}: {case.error.message}")
            self.narrate(f"    {case.error.advice}")
        for check in case.failed_checks:
            self.narrate(f"    {check.name}: {check.detail}")

    def _run_case(self, case: Case, result: CaseResult) -> None:
        if case.health:
            result.health = ask_health(self.client, self.target.api)
            result.error = result.health.failure
            return
        try:
            endpoint = self._endpoint(case)
            self._converse(case, endpoint, result)
        except CallError as error:
            result.error = error.failure

    def _endpoint(self, case: Case) -> Endpoint:
        if case.endpoint is None:
            if self.default_endpoint is None:
                raise CallError(Failure.of(FailureClass.NOT_FOUND, "there is no endpoint to call"))
            return self.default_endpoint
        try:
            return as_provider(self.target.endpoint(case.endpoint), self.provider)
        except ValueError as error:
            raise CallError(Failure.of(FailureClass.INVALID_REQUEST, str(error))) from error

    def _converse(self, case: Case, endpoint: Endpoint, result: CaseResult) -> None:
        history: list[dict[str, Any]] = []
        for number, call in enumerate(case.calls, 1):
            messages = [*history, *call.messages]
            turn = self._call(case, call, endpoint, messages, number, result)
            turn.checks = judge(call.checks, turn.outcome)
            failure = turn.outcome.failure
            if call.expect_error:
                turn.checks.append(_expected_error(call.expect_error, failure))
            if failure is not None and failure.failure_class.value not in call.expect_error:
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
                history = [*messages, {"role": "assistant", "content": turn.outcome.output or ""}]

    def _call(
        self,
        case: Case,
        call: Call,
        endpoint: Endpoint,
        messages: list[dict[str, Any]],
        number: int,
        result: CaseResult,
    ) -> TurnResult:
        """Make a call, and again as often as was asked for; every attempt is kept, as each may be billed."""
        for attempt in range(1, self.retries + 2):
            self.budget.require()
            stream = call.stream or self.stream_all
            # In the result before the call is made: an interruption leaves it there as what it is.
            interrupted = Failure.of(FailureClass.INTERRUPTED, "interrupted during the call")
            turn = TurnResult(
                number, attempt, endpoint, datetime.now(UTC), ChatOutcome(stream, failure=interrupted)
            )
            result.turns.append(turn)
            turn.outcome = chat(
                self.client, self.target, endpoint, messages, stream=stream, parameters=case.parameters
            )
            turn.cost, turn.cost_source = self.pricing.cost(endpoint, turn.outcome, turn.started_at)
            self.budget.note(endpoint, turn.outcome, turn.cost)
            wait = self._wait_before_retry(turn, call)
            if wait is None:
                break
            self.sleep(wait)
        return turn

    def _wait_before_retry(self, turn: TurnResult, call: Call) -> float | None:
        """Return the seconds to wait before trying again; None where that is not to be done."""
        failure = turn.outcome.failure
        if failure is None or turn.attempt > self.retries or failure.failure_class not in _PASSING:
            return None
        if failure.failure_class.value in call.expect_error:
            return None
        wait = (
            failure.retry_after_s
            if failure.retry_after_s is not None
            else min(2.0 ** (turn.attempt - 1), 30.0)
        )
        if wait > _LONGEST_WAIT_S:
            self.narrate(f"    not retried: the host asks for a wait of {wait:g} s")
            return None
        self.narrate(
            f"    {failure.failure_class.value}: {failure.message}; attempt {turn.attempt + 1} in {wait:g} s"
        )
        return wait


def _expected_error(expected: tuple[str, ...], failure: Failure | None) -> CheckResult:
    found = failure.failure_class.value if failure else "no error"
    return CheckResult("expect_error", found in expected, f"expected {' or '.join(expected)}, found {found}")
