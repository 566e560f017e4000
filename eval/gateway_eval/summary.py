"""A run in brief: one row a case, and the totals."""

from typing import Any

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.failure import exit_code, worst
from gateway_eval.pricing import Budget
from gateway_eval.results import CaseResult, RunResult, totals
from gateway_eval.table import render

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
    """Return one row a case, for JSON and for the table."""
    return [_row(case) for case in result.cases]


def _row(case: CaseResult) -> dict[str, Any]:
    if case.error is not None:
        detail = f"{case.error.failure_class.value}: {case.error.message}"
    else:
        detail = "; ".join(f"{check.name}: {check.detail}" for check in case.failed_checks)
    return {
        "name": case.name,
        "repeat": case.repeat,
        "status": case.status,
        **totals(case.turns),
        "duration_ms": case.duration_ms,
        "error_class": case.error.failure_class.value if case.error else None,
        "detail": detail or None,
    }


def as_table(result: RunResult) -> str:
    """Return the run as a table with a line of totals under it."""
    repeated = any(case.repeat > 1 for case in result.cases)
    cells = [
        (
            f"{row['name']} #{row['repeat']}" if repeated else row["name"],
            row["status"],
            row["requests"],
            f"{row['duration_ms']:.0f}",
            row["input_tokens"],
            row["output_tokens"],
            _cost(row),
            _shorten(row["detail"] or ""),
        )
        for row in rows(result)
    ]
    return render(_COLUMNS, cells) + "\n" + totals_line(result) + "\n"


def totals_line(result: RunResult) -> str:
    """Return the totals in one line of words."""
    summary = result.summary()
    counts = ", ".join(f"{summary[status]} {status}" for status in ("passed", "failed", "errored"))
    line = f"{summary['cases']} {_plural('case', summary['cases'])}: {counts}"
    if summary["not_run"]:
        line += f", {summary['not_run']} not run ({summary['stopped']})"
    line += f" | {summary['requests']} {_plural('call', summary['requests'])}"
    if summary["input_tokens"] is not None or summary["output_tokens"] is not None:
        line += f" | {_known(summary['input_tokens'])} tokens in, {_known(summary['output_tokens'])} out"
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


def _known(count: int | None) -> str:
    return "unknown" if count is None else str(count)


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _shorten(text: str, limit: int = 100) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
