"""What `gateway-eval compare` shows: a line a case, all together below, and what the words mean."""

from gateway_eval.comparison import MEASURES, PASS_RATE, Compared, Comparison, Measured
from gateway_eval.table import render

_COLUMNS = (
    ("CASE", "left"),
    ("PASSED", "left"),
    ("LATENCY MS", "left"),
    ("TTFT MS", "left"),
    ("TOKENS OUT", "left"),
    ("COST USD", "left"),
    ("VERDICT", "left"),
)
_LEGEND = """\
In brackets the {confidence:g} % interval of a change, for single cases widened for their number.
A change whose interval leaves out 0 is real; others are noise, or of too few runs to tell.
"""
_WORDS = {
    ("latency_ms", "worse"): "slower",
    ("latency_ms", "better"): "faster",
    ("ttft_ms", "worse"): "first token later",
    ("ttft_ms", "better"): "first token sooner",
    ("output_tokens", "worse"): "longer answers",
    ("output_tokens", "better"): "shorter answers",
    ("cost_usd", "worse"): "dearer",
    ("cost_usd", "better"): "cheaper",
    (PASS_RATE, "worse"): "passes less often",
    (PASS_RATE, "better"): "passes more often",
}
_NAMES = {
    PASS_RATE: "pass rate",
    "latency_ms": "latency",
    "ttft_ms": "time to first token",
    "output_tokens": "output tokens",
    "cost_usd": "cost",
}


def as_screen(comparison: Comparison, confidence: float) -> str:
    """Return the comparison as a table, with what its words mean."""
    lines = [*comparison.cases, *([comparison.overall] if comparison.overall else [])]
    cells = [[*_cells(compared)] for compared in lines]
    if comparison.overall:
        cells.insert(-1, [""] * len(_COLUMNS))
    return f"{render(_COLUMNS, cells)}\n{_LEGEND.format(confidence=confidence)}"


def regressions(comparison: Comparison, *, overall_only: bool) -> list[str]:
    """Return every regression in a line; with `overall_only`, of single cases those of the pass rate."""
    found = []
    for case in comparison.cases:
        for name in case.regressions:
            if name == PASS_RATE or not overall_only:
                found.append(_sentence(case, name))
    if comparison.overall is not None:
        found += [_sentence(comparison.overall, name) for name in comparison.overall.regressions]
    return found


def _sentence(compared: Compared, name: str) -> str:
    measured = compared.measures[name]
    if name == PASS_RATE:
        change = f"from {_passed(compared, 0)} to {_passed(compared, 1)}"
    else:
        change = f"{_percent(measured.change.change if measured.change else 0)} {_interval(measured)}"
    return f"{compared.name}: {_NAMES[name]} {change}"


def _cells(compared: Compared) -> list[str]:
    return [
        compared.name,
        f"{_passed(compared, 0)} → {_passed(compared, 1)}",
        *(_cell(compared.measures[name]) for name in MEASURES),
        _verdict(compared),
    ]


def _passed(compared: Compared, side: int) -> str:
    return f"{compared.passed[side]}/{compared.runs[side]}"


def _cell(measured: Measured) -> str:
    if measured.before is None and measured.after is None:
        return "-"
    if measured.before == measured.after:
        return _number(measured.before)
    values = f"{_number(measured.before)} → {_number(measured.after)}"
    if measured.change is None:
        return values
    return f"{values} {_percent(measured.change.change)} {_interval(measured)}".rstrip()


def _interval(measured: Measured) -> str:
    change = measured.change
    if change is None or change.low is None or change.high is None:
        return ""
    return f"({_percent(change.low).removesuffix(' %')} to {_percent(change.high)})"


def _verdict(compared: Compared) -> str:
    if compared.regressions:
        return "REGRESSION: " + ", ".join(_NAMES[name] for name in compared.regressions)
    told = [
        _WORDS[(name, measured.verdict)]
        for name, measured in compared.measures.items()
        if (name, measured.verdict) in _WORDS
    ]
    if told:
        return ", ".join(told)
    measured = [compared.measures[name] for name in MEASURES if compared.measures[name].before is not None]
    known = not measured or any(measure.verdict == "same" for measure in measured)
    return "same" if known else "too few runs to tell"


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 0.001 or value == 0 else f"{value:.7f}".rstrip("0")


def _percent(change: float) -> str:
    percent = change * 100
    return f"{percent:+.0f} %" if abs(percent) >= 10 else f"{percent:+.1f} %"
