"""What is left of what may be spent."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report, check_order
from gateway_contracts.exit_codes import ExitCode

if TYPE_CHECKING:
    from gateway_analytics.budgets import Budget

_COLUMNS = (
    Column("budget"),
    Column("period"),
    Column("since"),
    Column("until"),
    Column("limit_usd", "usd"),
    Column("spent_usd", "usd"),
    Column("percent", "number"),
    Column("projected_usd", "usd"),
    Column("unpriced_requests", "int"),
    Column("status"),
)


@click.command(epilog="Example: gateway-analytics budget --budgets budgets.yml --store /srv/store")
@query_options
@click.option(
    "--budgets",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The budgets.",
)
@click.option(
    "--on",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Look at the periods that hold this day.  [default: today]",
)
@click.option("--check", is_flag=True, help="End with exit code 1 where a budget is exceeded.")
def command(query: Query, path: Path, on: datetime | None, check: bool) -> None:
    """Spent of each budget in its current day, week or month, and where that leads by its end.

    projected_usd is what the whole period will cost if the rest goes on like the part that has passed.
    -o FILE.prom writes metrics for Prometheus' node exporter.
    """
    from gateway_analytics.output import tell, write, write_text
    from gateway_analytics.prometheus_text import budget_metrics

    if query.since or query.until or query.last or query.by:
        raise UsageProblem(
            "budgets have their own periods and groups. Leave out --since, --until, --last and --by."
        )
    check_order(query.sort, _COLUMNS)
    report = standings(query, path, on)
    report.arrange([query.sort] if query.sort else [], query.limit)
    if query.output and query.output.suffix == ".prom":
        tell(report)
        write_text(budget_metrics(report.rows), query.output)
    else:
        write(report, query.form, query.output)
    if check and report.totals["over"]:
        sys.exit(ExitCode.CHECK_FAILED)


def standings(query: Query, path: Path, on: datetime | None) -> Report:
    """Every budget of a file in the period that holds a day, today unless given. Raises UsageProblem."""
    from gateway_analytics.budgets import bounds, read_budgets

    budgets = read_budgets(path)
    if not budgets:
        raise UsageProblem(f"--budgets: {path} has no budgets. Add one.")
    if query.owners is None and {"owner", "team"} & {name for b in budgets for name in b.scope}:
        raise UsageProblem(
            "a budget for an owner or a team needs --owners FILE, which says who owns which key."
        )
    now = datetime.now(UTC)
    day = on.date() if on else _today(query.tz, now)
    reports = {
        period: _of_period(query, [b for b in budgets if b.period == period], bounds(period, day), now)
        for period in dict.fromkeys(budget.period for budget in budgets)
    }
    rows = [row for report in reports.values() for row in report.rows]
    order = {(budget.name, budget.period): number for number, budget in enumerate(budgets)}
    rows.sort(key=lambda row: order[row["budget"], row["period"]])
    return Report(
        "budget",
        max((report.range for report in reports.values()), key=lambda span: span.until or ""),
        _COLUMNS,
        rows,
        {"over": sum(row["status"] == "over" for row in rows)},
        list(dict.fromkeys(warning for report in reports.values() for warning in report.warnings)),
        total_row=False,
    )


def _today(tz: str, now: datetime) -> Any:
    import duckdb

    from gateway_analytics.timerange import resolve

    with duckdb.connect() as connection:
        resolve(connection, tz, None, None, None)
        row = connection.execute("SELECT CAST($now AS TIMESTAMPTZ)::DATE", {"now": now}).fetchall()[0]
    return row[0]


def _of_period(query: Query, budgets: "list[Budget]", period: tuple[Any, Any], now: datetime) -> Report:
    from gateway_analytics.budgets import elapsed, standing
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, load_book
    from gateway_analytics.records import Records
    from gateway_analytics.totals import SUMS

    book = load_book(query.prices, query.as_of)
    by = tuple(dict.fromkeys(name for budget in budgets for name in budget.scope))

    def answer(records: Records) -> Report:
        priced = costs(records, book, by)
        groups: list[tuple[Mapping[str, Any], Any]] = [
            (dict(zip(by, key, strict=True)), cost) for key, cost in priced.groups.items()
        ]
        when = f"{period[0]}" if period[0] == period[1] else f"{period[0]} to {period[1]}"
        warnings = [f"{when}: {warning}" for warning in priced.warnings]
        part = elapsed(records.range.since or "", records.range.until or "", now)
        rows = [
            {
                "budget": budget.name,
                "period": budget.period,
                "since": period[0].isoformat(),
                "until": period[1].isoformat(),
            }
            | standing(budget, groups, part)
            for budget in budgets
        ]
        return Report("budget", records.range, _COLUMNS, rows, {}, records.warnings + warnings)

    return ask(
        replace(query, since=period[0].isoformat(), until=period[1].isoformat(), last=None), answer, kept=SUMS
    )
