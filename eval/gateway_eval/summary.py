"""A run in brief: one row a case and host, and the totals."""

from collections.abc import Callable
from typing import Any

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.failure import exit_code, worst
from gateway_eval.pricing import Budget
from gateway_eval.results import CaseResult, RunResult, counts, totals, turns_of
from gateway_eval.table import known, render

_COLUMNS = (
    ("CASE", "left"),
    ("STATUS", "left"),
    ("CALLS", "right"),
    ("MS", "right"),
    ("TOKENS IN", "right"),
    ("TOKENS OUT", "right"),
    ("COST USD", "right"),
    ("DETAIL", "left"),
)


def rows(result: RunResult) -> list[dict[str, Any]]:
    """Return one row a case and host, for JSON and for the table."""
    return [_row(case) for case in result.cases]


def _row(case: CaseResult) -> dict[str, Any]:
    return {
        "host": case.host,
        "name": case.name,
        "repeat": case.repeat,
        "status": case.status,
        **totals(case.turns),
        "duration_ms": case.duration_ms,
        "error_class": case.error.failure_class.value if case.error else None,
        "detail": case.detail,
    }


def as_table(result: RunResult) -> str:
    """Return the run as a table with a line of totals under it; several hosts stand side by side."""
    table = _one_host(result) if len(result.hosts) == 1 else _side_by_side(result)
    return table + "\n" + totals_line(result) + "\n"


def _one_host(result: RunResult) -> str:
    label = _labels(result)
    cells = [
        (
            label(case),
            row["status"],
            row["requests"],
            f"{row['duration_ms']:.0f}",
            row["input_tokens"],
            row["output_tokens"],
            _cost(row),
            _shorten(row["detail"] or ""),
        )
        for case in result.cases
        for row in [_row(case)]
    ]
    return render(_COLUMNS, cells)


def _side_by_side(result: RunResult) -> str:
    """Return a column a host and a line a case; what did not pass is told below, once for each cause."""
    label = _labels(result)
    by_case: dict[str, dict[str, CaseResult]] = {}
    for case in result.cases:
        by_case.setdefault(label(case), {})[case.base_url] = case
    columns = [("CASE", "left"), *((host.name, "left") for host in result.hosts)]
    cells: list[list[object]] = [
        [name, *(_cell(cases.get(host.base_url)) for host in result.hosts)] for name, cases in by_case.items()
    ]
    cells.append(["", *("" for _ in result.hosts)])
    cells.append(["passed", *(f"{counts(on)['passed']} of {len(on)}" for on in map(result.on, result.hosts))])
    cells.append(["cost USD", *(_cost(totals(turns_of(on))) or "-" for on in map(result.on, result.hosts))])
    told = [
        (case.host, label(case), case.status, _shorten(case.detail or ""))
        for case in result.cases
        if case.status != "passed"
    ]
    table = render(columns, cells)
    if told:
        headings = (("HOST", "left"), ("CASE", "left"), ("STATUS", "left"), ("DETAIL", "left"))
        table += "\n" + render(headings, told)
    return table


def _cell(case: CaseResult | None) -> str | None:
    return None if case is None else f"{case.status} {case.duration_ms:.0f} ms"


def _labels(result: RunResult) -> Callable[[CaseResult], str]:
    repeated = any(case.repeat > 1 for case in result.cases)
    return lambda case: f"{case.name} #{case.repeat}" if repeated else case.name


def totals_line(result: RunResult) -> str:
    """Return the totals in one line of words."""
    summary = result.summary()
    counts = ", ".join(f"{summary[status]} {status}" for status in ("passed", "failed", "errored"))
    line = f"{summary['cases']} {_plural('case', summary['cases'])}: {counts}"
    if summary["not_run"]:
        line += f", {summary['not_run']} not run ({summary['stopped']})"
    line += f" | {summary['requests']} {_plural('call', summary['requests'])}"
    if summary["input_tokens"] is not None or summary["output_tokens"] is not None:
        line += f" | {known(summary['input_tokens'])} tokens in, {known(summary['output_tokens'])} out"
    if summary["requests"]:
        line += f" | {_money_words(summary)}"
    return line


def run_exit_code(result: RunResult, budget: Budget) -> ExitCode:
    """Return the exit code of a run: of all that went wrong, what explains the most."""
    codes = {exit_code(case.error) for case in result.cases if case.error is not None}
    if any(case.status == "failed" for case in result.cases) or budget.exceeded:
        codes.add(ExitCode.CHECK_FAILED)
    if result.stopped == "interrupted":
        codes.add(ExitCode.INTERRUPTED)
    return worst(codes)


def _money_words(summary: dict[str, Any]) -> str:
    unpriced = summary["unpriced_requests"]
    if summary["cost_usd"] is None:
        return f"cost unknown ({unpriced} unpriced)" if unpriced else "no cost"
    return f"${summary['cost_usd']}" + (f" + {unpriced} unpriced" if unpriced else "")


def _cost(row: dict[str, Any]) -> str | None:
    if row["unpriced_requests"]:
        return (
            "unpriced"
            if row["cost_usd"] is None
            else f"{row['cost_usd']} + {row['unpriced_requests']} unpriced"
        )
    return None if row["cost_usd"] is None else str(row["cost_usd"])


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _shorten(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
