"""What went wrong, and where to look."""

from typing import Any

import click

from gateway_analytics.grouping import TIME_DIMENSIONS, columns, quoted, selected
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.sql_text import sql

_BY = ("error_class", "provider", "model")
_COLUMNS = (
    Column("failed_requests", "int"),
    Column("failed_attempts", "int"),
    Column("percent", "number"),
    Column("statuses"),
    Column("last_seen", "time"),
    Column("examples"),
)


@click.command(epilog="Example: gateway-analytics errors --last 1d --store /srv/store")
@query_options
def command(query: Query) -> None:
    """Failures by cause, provider and model, with the newest request ids of each.

    failed_requests are calls whose caller got an error, failed_attempts those that a retry or a fallback
    made good or tried to. percent is the group's share of all calls.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.output import write
    from gateway_analytics.records import Records

    by = query.by or _BY
    shown = (*columns(by), *_COLUMNS)
    check_order(query.sort, shown)

    def answer(records: Records) -> Report:
        found = records.rows(
            sql("errors", by=selected(by), by_columns="".join(f"{name}, " for name in quoted(by)))
        )
        requests = records.rows("SELECT count(*) AS n FROM calls WHERE final")[0]["n"]
        rows: list[dict[str, Any]] = [
            row
            | {
                "percent": _percent(row["failed_requests"], requests),
                "statuses": [str(status) for status in row["statuses"] or ()],
            }
            for row in found
        ]
        failed = sum(row["failed_requests"] for row in rows)
        totals = {
            "requests": requests,
            "failed_requests": failed,
            "failed_attempts": sum(row["failed_attempts"] for row in rows),
            "percent": _percent(failed, requests),
        }
        report = Report("errors", records.range, shown, rows, totals, records.warnings, records.notes)
        most = [] if by[0] in TIME_DIMENSIONS else ["failed_requests", "failed_attempts"]
        report.arrange([*([query.sort] if query.sort else []), *most, *by], query.limit)
        return report

    write(ask(query, answer), query.form, query.output)


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 3) if whole else None
