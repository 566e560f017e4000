"""Two runs of the same cases, compared: what changed, how sure that is, and whether it is a regression."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import fmean
from typing import Any

from gateway_eval.intervals import Change, rate_difference, ratio, stratified_ratio

MEASURES = ("latency_ms", "ttft_ms", "output_tokens", "cost_usd")
PASS_RATE = "pass_rate"  # noqa: S105 - no password


@dataclass
class Samples:
    """What came of one case's runs; only runs that did not err have measures."""

    passed: int = 0
    runs: int = 0
    values: dict[str, list[float]] = field(default_factory=lambda: {measure: [] for measure in MEASURES})


@dataclass(frozen=True)
class Thresholds:
    """How much worse is allowed, 0.1 being 10 %; None for what is not judged.

    Times that grow by ignored_ms or less are none that anybody notices, whatever the percentage.
    """

    pass_rate: float = 0.0
    latency_ms: float | None = 0.25
    ttft_ms: float | None = 0.25
    output_tokens: float | None = None
    cost_usd: float | None = 0.10
    ignored_ms: float = 0.0


@dataclass(frozen=True)
class Measured:
    """One measure before and after: geometric means (the pass rate: rates), and the change between them."""

    name: str
    before: float | None
    after: float | None
    change: Change | None
    regression: bool = False

    @property
    def verdict(self) -> str:
        """One word: better, worse, same (within the noise), unknown (too few runs to tell) or regression."""
        if self.regression:
            return "regression"
        if self.change is None or self.change.real is None:
            return "unknown"
        if not self.change.real:
            return "same"
        more_is_better = self.name == PASS_RATE
        return "better" if (self.change.change > 0) is more_is_better else "worse"

    def as_dict(self) -> dict[str, Any]:
        """Return the measure as JSON output has it."""
        change = self.change or Change(math.nan)
        return {
            "before": _rounded(self.before),
            "after": _rounded(self.after),
            "change": None if self.change is None else _rounded(change.change),
            "change_low": _rounded(change.low),
            "change_high": _rounded(change.high),
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Compared:
    """A case, or all of them together; `runs` are those before and after."""

    name: str
    runs: tuple[int, int]
    passed: tuple[int, int]
    measures: dict[str, Measured]

    @property
    def regressions(self) -> list[str]:
        """The measures that got worse than is allowed."""
        return [measure.name for measure in self.measures.values() if measure.regression]

    def as_dict(self) -> dict[str, Any]:
        """Return the case as JSON output has it."""
        return {
            "name": self.name,
            "runs_before": self.runs[0],
            "runs_after": self.runs[1],
            "passed_before": self.passed[0],
            "passed_after": self.passed[1],
            **{name: measure.as_dict() for name, measure in self.measures.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """Every case that is in both runs, all of them together, and the cases that are in one run alone."""

    cases: tuple[Compared, ...]
    overall: Compared | None
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


def read_samples(document: dict[str, Any]) -> dict[str, Samples]:
    """Return the samples of each case in a results file; KeyError, TypeError ... for one that is none."""
    found: dict[str, Samples] = {}
    for case in document["cases"]:
        samples = found.setdefault(case["name"], Samples())
        samples.runs += 1
        samples.passed += case["status"] == "passed"
        if case["status"] == "errored":
            continue
        turns = [*case["turns"], *case.get("other_calls", [])]
        last = {turn["turn"]: turn for turn in turns}.values()  # of several attempts
        for measure, value in (
            ("latency_ms", _sum(turn["duration_ms"] for turn in last)),
            ("ttft_ms", _mean(turn["time_to_first_token_ms"] for turn in last)),
            ("output_tokens", _sum(turn["usage"]["output_tokens"] for turn in case["turns"])),
            ("cost_usd", _sum(_money(turn["cost_usd"]) for turn in case["turns"])),
        ):
            if value is not None:
                samples.values[measure].append(value)
    return found


def compare(
    before: dict[str, Samples], after: dict[str, Samples], thresholds: Thresholds, confidence: float
) -> Comparison:
    """Compare two runs.

    The intervals of single cases are wider, by Bonferroni's correction, so that all of them together hold
    with this confidence: of twenty cases one would seem changed by chance.
    """
    shared = [name for name in before if name in after]
    each = 1 - (1 - confidence) / max(1, len(shared))
    cases = tuple(_case(name, before[name], after[name], thresholds, each) for name in shared)
    pairs = [(before[name], after[name]) for name in shared]
    return Comparison(
        cases,
        _overall(pairs, thresholds, confidence) if pairs else None,
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
    )


def _case(name: str, before: Samples, after: Samples, thresholds: Thresholds, confidence: float) -> Compared:
    measures = {
        measure: _measured(
            measure,
            _geometric_mean([before.values[measure]]),
            _geometric_mean([after.values[measure]]),
            ratio(before.values[measure], after.values[measure], confidence),
            thresholds,
        )
        for measure in MEASURES
    }
    return _compared(name, [(before, after)], measures, thresholds, confidence)


def _overall(pairs: Sequence[tuple[Samples, Samples]], thresholds: Thresholds, confidence: float) -> Compared:
    measures = {}
    for measure in MEASURES:
        known = [
            (before.values[measure], after.values[measure])
            for before, after in pairs
            if before.values[measure] and after.values[measure]
        ]
        measures[measure] = _measured(
            measure,
            _geometric_mean([before for before, _ in known]),
            _geometric_mean([after for _, after in known]),
            stratified_ratio(known, confidence),
            thresholds,
        )
    return _compared("all cases", pairs, measures, thresholds, confidence)


def _compared(
    name: str,
    pairs: Sequence[tuple[Samples, Samples]],
    measures: dict[str, Measured],
    thresholds: Thresholds,
    confidence: float,
) -> Compared:
    runs = (sum(before.runs for before, _ in pairs), sum(after.runs for _, after in pairs))
    passed = (sum(before.passed for before, _ in pairs), sum(after.passed for _, after in pairs))
    change = rate_difference((passed[0], runs[0]), (passed[1], runs[1]), confidence)
    rates = passed[0] / runs[0], passed[1] / runs[1]
    # A case that no longer passes is no noise to be waved away, however few its runs.
    worse = change.change < -thresholds.pass_rate - 1e-9
    return Compared(name, runs, passed, {PASS_RATE: Measured(PASS_RATE, *rates, change, worse), **measures})


def _measured(
    name: str, before: float | None, after: float | None, change: Change | None, thresholds: Thresholds
) -> Measured:
    allowed: float | None = getattr(thresholds, name)
    regression = (
        change is not None and allowed is not None and bool(change.real) and change.change > allowed + 1e-9
    )
    if regression and name.endswith("_ms") and before is not None and after is not None:
        regression = after - before > thresholds.ignored_ms
    return Measured(name, before, after, change, regression)


def _geometric_mean(cases: Sequence[Sequence[float]]) -> float | None:
    """Return the geometric mean over cases, each counting the same; None without values, 0 with a 0."""
    if not cases or not all(cases):
        return None
    if any(value <= 0 for values in cases for value in values):
        return 0.0
    return math.exp(fmean(fmean(math.log(value) for value in values) for values in cases))


def _sum(values: Iterable[float | None]) -> float | None:
    """Return the sum; None where there is nothing to add, or a part is unknown."""
    known = list(values)
    return None if not known or None in known else sum(value for value in known if value is not None)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _money(cost: str | None) -> float | None:
    return None if cost is None else float(Decimal(cost))


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(f"{value:.6g}")
