"""The results of a run, and the file they are kept in."""

import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway_contracts.price_book import format_usd
from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.checks import CheckResult
from gateway_eval.failure import Failure
from gateway_eval.health import Health
from gateway_eval.pricing import may_be_billed
from gateway_eval.target import Endpoint
from gateway_eval.version import version

SCHEMA_VERSION = 1


@dataclass
class TurnResult:
    """One call that was made: the n-th of its conversation, in its n-th attempt."""

    turn: int
    attempt: int
    endpoint: Endpoint
    started_at: datetime
    outcome: ChatOutcome
    cost: Decimal | None = None
    cost_source: str | None = None
    checks: list[CheckResult] = field(default_factory=list)

    @property
    def unpriced(self) -> bool:
        """Whether it may have cost something that is not known."""
        return self.cost is None and may_be_billed(self.outcome)

    def as_dict(self) -> dict[str, Any]:
        """Return the call as the results file has it; None is unknown."""
        outcome = self.outcome
        return {
            "turn": self.turn,
            "attempt": self.attempt,
            "request_id": outcome.request_id,
            "endpoint": self.endpoint.name,
            "operation": "chat",
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
            "output": outcome.output,
            "checks": [check.as_dict() for check in self.checks],
            "error": outcome.failure.as_dict() if outcome.failure else None,
        }


@dataclass
class CaseResult:
    """What came of a case: passed, failed (a check said no) or errored (it could not be told)."""

    name: str
    repeat: int = 1
    turns: list[TurnResult] = field(default_factory=list)
    error: Failure | None = None
    health: Health | None = None
    duration_ms: float = 0.0

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

    def as_dict(self) -> dict[str, Any]:
        """Return the case as the results file has it."""
        entry: dict[str, Any] = {
            "name": self.name,
            "repeat": self.repeat,
            "status": self.status,
            "error": self.error.as_dict() if self.error else None,
            "duration_ms": self.duration_ms,
            "turns": [turn.as_dict() for turn in self.turns],
        }
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
class RunResult:
    """A whole run. `stopped` says why cases were left out: budget, fail_fast, interrupted, unreachable."""

    base_url: str
    started_at: datetime
    environment: dict[str, Any]
    planned: int = 0
    cases: list[CaseResult] = field(default_factory=list)
    finished_at: datetime | None = None
    stopped: str | None = None

    @property
    def turns(self) -> list[TurnResult]:
        """Every call of the run."""
        return [turn for case in self.cases for turn in case.turns]

    def summary(self) -> dict[str, Any]:
        """Return the run's totals; tokens and cost are None where not a single call states them."""
        finished = self.finished_at or datetime.now(UTC)
        status = [case.status for case in self.cases]
        return {
            "cases": len(self.cases),
            "passed": status.count("passed"),
            "failed": status.count("failed"),
            "errored": status.count("errored"),
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
            "base_url": self.base_url,
            "environment": self.environment,
            "summary": self.summary(),
            "cases": [case.as_dict() for case in self.cases],
        }


def totals(turns: list[TurnResult]) -> dict[str, Any]:
    """Return requests, tokens and cost over some calls."""

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


def money(amount: Decimal | None) -> str | None:
    """Return an amount as a decimal string."""
    return None if amount is None else format_usd(amount)


def timestamp(moment: datetime) -> str:
    """Return a moment as UTC, RFC 3339, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def environment() -> dict[str, Any]:
    """Return what runs the evaluation."""
    import requests

    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "requests": requests.__version__,
    }


class ResultsFile:
    """A file that is written whole or not at all.

    Making one proves that it can be written, before any money is spent: a file beside it is created, which
    replaces it in the end. Raises ValueError, with the remedy, where that is not possible.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        target = path.resolve()  # where the path is a link, it stays one
        if target.exists() and not target.is_file():
            raise ValueError(f"{path} is not a regular file; name another with --results")
        try:
            handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        except OSError as error:
            raise ValueError(
                f"{path} cannot be written ({error.strerror}); name another place with --results"
            ) from error
        os.close(handle)
        self._target = target
        self._temporary = Path(name)

    def write(self, document: dict[str, Any]) -> None:
        """Write the results and put them in place. Raises OSError where the disk is full."""
        try:
            with self._temporary.open("w", encoding="utf-8") as file:
                json.dump(document, file, indent=2, ensure_ascii=False)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            self._temporary.chmod(0o666 & ~_umask())
            self._temporary.replace(self._target)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was prepared, if it was not put in place."""
        self._temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
