"""What a load came to: numbers, verdicts, and warnings where the numbers need one."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.envelope import timestamp
from gateway_eval.failure import exit_code, worst
from gateway_eval.load.distribution import Distribution
from gateway_eval.load.measurement import Measurement
from gateway_eval.load.slo import Slo, Verdict
from gateway_eval.load.spending import Spending
from gateway_eval.results import money
from gateway_eval.version import version

SCHEMA_VERSION = 1

# From these on, what is measured is this program rather than the host.
_BUSY_CPU_SHARE = 0.9
_LATE_MS = 10.0
_MISSED_RATE = 0.98


@dataclass
class LoadResult:
    """A load that has ended."""

    base_url: str
    endpoint: str
    started_at: datetime
    finished_at: datetime
    environment: dict[str, Any]
    measurement: Measurement
    slos: list[Slo] = field(default_factory=list)
    spending: Spending | None = None

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """Percentiles by quantity; latencies count from the moment at which a call was due."""
        seen = self.measurement
        return {
            "latency_ms": Distribution(seen.latency_ms),
            "ttft_ms": Distribution(seen.ttft_ms),
            "inter_token_ms": Distribution(seen.inter_token_ms),
            "inter_chunk_ms": Distribution(seen.inter_chunk_ms),
            "send_delay_ms": Distribution(seen.send_delay_ms),
        }

    @cached_property
    def totals(self) -> dict[str, Any]:
        """Counts and rates of the measured part; None where nothing was measured."""
        seen = self.measurement
        # Without a single count of tokens their number is not 0 but unknown.
        counted = seen.calls_without_usage < len(seen.latency_ms)
        return {
            "requests": seen.requests,
            "failed_requests": seen.failed,
            "unfinished_requests": seen.in_flight,
            "error_rate": round(seen.failed / seen.requests, 6) if seen.requests else None,
            "duration_s": round(seen.seconds, 3),
            "offered_per_s": self._rate(seen.begun_in_window),
            "requests_per_s": self._rate(seen.succeeded_in_window),
            "input_tokens": seen.input_tokens_in_window if counted else None,
            "output_tokens": seen.output_tokens_in_window if counted else None,
            "input_tokens_per_s": self._rate(seen.input_tokens_in_window) if counted else None,
            "output_tokens_per_s": self._rate(seen.output_tokens_in_window) if counted else None,
            "cost_usd": money(self.spending.usd) if self.spending else None,
            "unpriced_requests": self.spending.unpriced if self.spending else 0,
            "errors": {
                name.value: {
                    "count": errors.count,
                    "advice": errors.advice,
                    "messages": dict(errors.messages.most_common()),
                }
                for name, errors in sorted(seen.errors.items(), key=lambda item: -item[1].count)
            },
            "client": {
                "limited": self.client_limited,
                "cpu_share": None if seen.cpu_share is None else round(seen.cpu_share, 3),
                "lag_p99_ms": _rounded(self._lag),
                "connections": seen.connections,
                "waited_for_connection": seen.waited,
            },
            "stopped": seen.stopped,
            "passed": self.exit_code is ExitCode.OK,
            "slos": [verdict.as_dict() for verdict in self.verdicts],
        }

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """Each objective with whether it holds."""
        seen = self.measurement
        totals = {
            "error_rate": seen.failed / seen.requests if seen.requests else None,
            "failed_requests": seen.failed,
            "errors": {name.value: {"count": errors.count} for name, errors in seen.errors.items()},
            "requests_per_s": self._rate(seen.succeeded_in_window),
            "input_tokens_per_s": self._rate(seen.input_tokens_in_window),
            "output_tokens_per_s": self._rate(seen.output_tokens_in_window),
        }
        return [slo.judge(self.distributions, totals) for slo in self.slos]

    @property
    def client_limited(self) -> bool:
        """Whether this program, not the host, was what the load came up against."""
        return self._busy or self._late

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with.

        Objectives decide where there are any; without them every call has to succeed. A load of which nothing
        succeeded ends with its cause.
        """
        seen = self.measurement
        if seen.stopped == "interrupted":
            return ExitCode.INTERRUPTED
        errors = seen.errors or (seen.errors_before if not len(seen.latency_ms) else {})
        causes = {exit_code(one.first) for one in errors.values() if one.first is not None}
        if seen.stopped == "budget":
            return worst(causes) if causes and not len(seen.latency_ms) else ExitCode.CHECK_FAILED
        if not len(seen.latency_ms):
            return worst(causes) if causes else ExitCode.CHECK_FAILED
        if self.slos:
            return ExitCode.OK if all(verdict.passed for verdict in self.verdicts) else ExitCode.CHECK_FAILED
        return worst(causes)

    @property
    def warnings(self) -> list[str]:
        """What one has to know before believing the numbers."""
        seen, plan = self.measurement, self.measurement.plan
        warnings = []
        if self._busy:
            warnings.append(
                f"this program itself was the limit: it used {seen.cpu_share or 0:.0%} of a core; the host "
                "can do more than this shows: run several of it on other cores, or lower --rate"
            )
        elif self._late:
            warnings.append(
                f"this machine was the limit: it was {self._lateness:.0f} ms late (p99) in sending and "
                "reading, which counts as latency; use one with a core to spare"
            )
        if seen.waited:
            warnings.append(
                f"{seen.waited} calls waited for one of {plan.max_connections} connections; that counts as "
                "latency: raise --max-connections if the host is to have more at once"
            )
        offered = self._rate(seen.begun_in_window)
        if (
            plan.rate is not None
            and offered is not None
            and offered < plan.rate * _MISSED_RATE
            and self._late
        ):
            warnings.append(f"{offered:g} calls/s were sent, not {plan.rate:g}")
        if before := sum(errors.count for errors in seen.errors_before.values()):
            causes = ", ".join(name.value for name in seen.errors_before)
            warnings.append(f"{before} calls failed in ramp and warm-up ({causes}), which are not counted")
        if seen.stopped == "hopeless":
            warnings.append("the load was ended early: the first 100 calls all failed")
        if seen.stopped == "budget" and self.spending is not None:
            known = f"${money(self.spending.usd)} is spent" if self.spending.usd else "a call had no price"
            warnings.append(f"the load was ended early: {known}, and --max-cost is ${self.spending.limit}")
        if seen.in_flight:
            warnings.append(f"{seen.in_flight} calls were still under way at the end and are not counted")
        if seen.calls_without_usage and len(seen.latency_ms):
            share = seen.calls_without_usage / len(seen.latency_ms)
            warnings.append(f"{share:.0%} of the answers state no tokens, which are missing from the rates")
        return warnings

    def rows(self) -> list[dict[str, Any]]:
        """Return the distributions that have samples, one row each."""
        return [
            {"quantity": name, **distribution.as_dict()}
            for name, distribution in self.distributions.items()
            if len(distribution)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the results file."""
        seen = self.measurement
        return {
            "schema_version": SCHEMA_VERSION,
            "tool": "gateway-eval",
            "command": "load",
            "version": version(),
            "started_at": timestamp(self.started_at),
            "finished_at": timestamp(self.finished_at),
            "base_url": self.base_url,
            "endpoint": self.endpoint,
            "environment": self.environment,
            "plan": seen.plan.as_dict(),
            "totals": self.totals,
            "distributions": {row["quantity"]: {**row} for row in self.rows()},
            "warnings": self.warnings,
            "timeline": [
                {
                    "second": number,
                    "begun": second.begun,
                    "succeeded": second.succeeded,
                    "failed": second.failed,
                    "latency_p50_ms": _rounded(Distribution(second.latency_ms).quantile(50)),
                    "latency_p99_ms": _rounded(Distribution(second.latency_ms).quantile(99)),
                }
                for number, second in enumerate(seen.timeline)
            ],
        }

    @property
    def _busy(self) -> bool:
        return (self.measurement.cpu_share or 0) >= _BUSY_CPU_SHARE

    @property
    def _late(self) -> bool:
        return self._lateness >= _LATE_MS

    @property
    def _lateness(self) -> float:
        # Calls that waited for a connection were sent late by the host's doing, not by this program's.
        delay = None if self.measurement.waited else self.distributions["send_delay_ms"].quantile(99)
        return max(self._lag or 0, delay or 0)

    @cached_property
    def _lag(self) -> float | None:
        return Distribution(self.measurement.lag_ms).quantile(99)

    def _rate(self, count: int) -> float | None:
        seconds = self.measurement.seconds
        return round(count / seconds, 3) if seconds > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
