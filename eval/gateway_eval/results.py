"""The results of a run: what came of every case, on every host."""

import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from gateway_contracts.price_book import format_usd
from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.checks import CheckResult
from gateway_eval.envelope import timestamp
from gateway_eval.failure import Failure
from gateway_eval.health import Health
from gateway_eval.pricing import may_be_billed
from gateway_eval.target import Endpoint
from gateway_eval.version import version

SCHEMA_VERSION = 1


@dataclass
class TurnResult:
    """One call that was made: the n-th of its conversation, in its n-th attempt.

    `messages` are those that it added to the conversation. `endpoint` has no name where a request went to
    a path of its own.
    """

    turn: int
    attempt: int
    endpoint: Endpoint
    started_at: datetime
    outcome: ChatOutcome
    cost: Decimal | None = None
    cost_source: str | None = None
    checks: list[CheckResult] = field(default_factory=list)
    messages: tuple[dict[str, Any], ...] = ()

    @property
    def asks_model(self) -> bool:
        """Whether it is a call that a model answers, and so may cost something."""
        return self.outcome.operation is not None

    @property
    def unpriced(self) -> bool:
        """Whether it may have cost something that is not known."""
        return self.asks_model and self.cost is None and may_be_billed(self.outcome)

    def as_dict(self) -> dict[str, Any]:
        """Return the call as the results file has it; None is unknown."""
        outcome = self.outcome
        return {
            "turn": self.turn,
            "attempt": self.attempt,
            "request_id": outcome.request_id,
            "endpoint": self.endpoint.name or None,
            "operation": outcome.operation,
            "stream": outcome.stream,
            "started_at": timestamp(self.started_at),
            "http_status": outcome.http_status,
            "error_class": outcome.failure.failure_class.value if outcome.failure else None,
            "provider": self.endpoint.provider,
            "request_model": self.endpoint.model,
            "response_model": outcome.response_model,
            "service_tier": outcome.service_tier,
            "usage": asdict(outcome.usage or TokenUsage()),
            "finish_reason": outcome.finish_reason,
            "duration_ms": outcome.duration_ms,
            "time_to_first_token_ms": outcome.time_to_first_token_ms,
            "cost_usd": money(self.cost),
            "cost_source": self.cost_source,
            "provider_cost_usd": money(outcome.provider_cost_usd),
            "messages": list(self.messages),
            "output": outcome.output,
            "checks": [check.as_dict() for check in self.checks],
            "error": outcome.failure.as_dict() if outcome.failure else None,
        }


@dataclass
class CaseResult:
    """What came of a case on a host: passed, failed (a check said no) or errored (it could not be told)."""

    name: str
    repeat: int = 1
    turns: list[TurnResult] = field(default_factory=list)
    error: Failure | None = None
    health: Health | None = None
    duration_ms: float = 0.0
    base_url: str = ""
    host: str = ""

    @property
    def status(self) -> str:
        """`errored` goes before `failed`: what did not work proves nothing."""
        if self.error is not None:
            return "errored"
        return "failed" if self.failed_checks else "passed"

    @property
    def failed_checks(self) -> list[CheckResult]:
        """The checks that said no."""
        return [check for turn in self.turns for check in turn.checks if check.passed is False]

    @property
    def detail(self) -> str | None:
        """Why it did not pass, in words; None where it did."""
        if self.error is not None:
            return f"{self.error.failure_class.value}: {self.error.message}"
        return "; ".join(f"{check.name}: {check.detail}" for check in self.failed_checks) or None

    def as_dict(self) -> dict[str, Any]:
        """Return the case as the results file has it."""
        entry: dict[str, Any] = {
            "name": self.name,
            "repeat": self.repeat,
            "host": self.host,
            "base_url": self.base_url,
            "status": self.status,
            "error": self.error.as_dict() if self.error else None,
            "duration_ms": self.duration_ms,
            "turns": [turn.as_dict() for turn in self.turns if turn.asks_model],
        }
        others = [turn.as_dict() for turn in self.turns if not turn.asks_model]
        if others:
            entry["other_calls"] = others
        if self.health is not None:
            health = self.health
            entry["health"] = {
                "path": health.path,
                "http_status": health.http_status,
                "healthy": health.healthy,
                "duration_ms": health.duration_ms,
            }
        return entry


@dataclass
class HostRecord:
    """A host that was tested: how it was called, or why it could not be."""

    base_url: str
    name: str = ""
    api: str | None = None
    endpoint: Endpoint | None = None
    failure: Failure | None = None

    def __post_init__(self) -> None:
        self.name = self.name or urlsplit(self.base_url).netloc

    def as_dict(self) -> dict[str, Any]:
        """Return the host as the results file has it."""
        return {
            "name": self.name,
            "base_url": self.base_url,
            "api": self.api,
            "endpoint": self.endpoint.name if self.endpoint else None,
            "provider": self.endpoint.provider if self.endpoint else None,
            "model": self.endpoint.model if self.endpoint else None,
            "error": self.failure.as_dict() if self.failure else None,
        }


@dataclass
class RunResult:
    """A whole run. `stopped` says why cases were left out: budget, fail_fast, interrupted."""

    hosts: list[HostRecord]
    started_at: datetime
    environment: dict[str, Any]
    planned: int = 0
    cases: list[CaseResult] = field(default_factory=list)
    finished_at: datetime | None = None
    stopped: str | None = None

    @property
    def turns(self) -> list[TurnResult]:
        """Every call of the run."""
        return turns_of(self.cases)

    def on(self, host: HostRecord) -> list[CaseResult]:
        """Return the cases that ran on a host."""
        return [case for case in self.cases if case.base_url == host.base_url]

    def summary(self) -> dict[str, Any]:
        """Return the run's totals; tokens and cost are None where not a single call states them."""
        finished = self.finished_at or datetime.now(UTC)
        return {
            **counts(self.cases),
            "not_run": max(0, self.planned - len(self.cases)),
            "stopped": self.stopped,
            **totals(self.turns),
            "duration_ms": round((finished - self.started_at).total_seconds() * 1000, 1),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the results file."""
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": "gateway-eval",
            "version": version(),
            "started_at": timestamp(self.started_at),
            "finished_at": timestamp(self.finished_at) if self.finished_at else None,
            "base_url": self.hosts[0].base_url,
            "hosts": [
                {**host.as_dict(), "summary": {**counts(cases), **totals(turns_of(cases))}}
                for host in self.hosts
                for cases in [self.on(host)]
            ],
            "environment": self.environment,
            "summary": self.summary(),
            "cases": [case.as_dict() for case in self.cases],
        }


def counts(cases: list[CaseResult]) -> dict[str, int]:
    """Return how many cases there are, and how many of each status."""
    status = [case.status for case in cases]
    return {
        "cases": len(cases),
        "passed": status.count("passed"),
        "failed": status.count("failed"),
        "errored": status.count("errored"),
    }


def totals(turns: list[TurnResult]) -> dict[str, Any]:
    """Return requests to models, tokens and cost over some calls."""
    turns = [turn for turn in turns if turn.asks_model]

    def tokens(name: str) -> int | None:
        known = [count for turn in turns if (count := getattr(turn.outcome.usage, name, None)) is not None]
        return sum(known) if known else None

    costs = [turn.cost for turn in turns if turn.cost is not None]
    return {
        "requests": len(turns),
        "input_tokens": tokens("input_tokens"),
        "output_tokens": tokens("output_tokens"),
        "cost_usd": money(sum(costs, start=Decimal(0)) if costs else None),
        "unpriced_requests": sum(turn.unpriced for turn in turns),
    }


def turns_of(cases: list[CaseResult]) -> list[TurnResult]:
    """Return every call of some cases."""
    return [turn for case in cases for turn in case.turns]


def money(amount: Decimal | None) -> str | None:
    """Return an amount as a decimal string."""
    return None if amount is None else format_usd(amount)


def environment() -> dict[str, Any]:
    """Return what runs the evaluation."""
    import requests

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "requests": requests.__version__,
    }
