"""How many calls there were, and how they went."""

from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.grouping import TIME_DIMENSIONS, columns, grouping_sets, quoted, selected
from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.sql_text import sql

if TYPE_CHECKING:
    from gateway_analytics.records import Records

_COUNTS = (
    Column("requests", "int"),
    Column("successful_requests", "int"),
    Column("failed_requests", "int"),
    Column("input_tokens", "int"),
    Column("cached_input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("duration_ms_p50", "number"),
    Column("duration_ms_p95", "number"),
)
_CALL = (
    *(
        Column(name)
        for name in ("received_at", "request_id", "host", "instance", "endpoint", "provider", "model")
    ),
    *(Column(name) for name in ("api_key", "user", "status", "error_class")),
    Column("stream", "bool"),
    Column("attempts", "int"),
    Column("input_tokens", "int"),
    Column("cached_input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("duration_ms", "number"),
    Column("time_to_first_token_ms", "number"),
)
_CALLS_SHOWN = 100


@click.command(
    epilog="Example: gateway-analytics requests --by host --by status --last 1h --store /srv/store"
)
@query_options
@click.option(
    "--list",
    "each",
    is_flag=True,
    help=f"Single calls, newest first; {_CALLS_SHOWN} unless --limit says more.",
)
def command(query: Query, each: bool) -> None:
    """How many calls there were, how they went, and how long they took.

    A call failed where its caller got an HTTP status of 400 or more. Tokens are those of every attempt.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.output import write

    if each and (query.by or query.sort):
        raise UsageProblem("--list shows calls by time. Use it without --by and --sort.")
    check_order(query.sort, (*columns(query.by), *_COUNTS))
    write(
        ask(query, lambda records: _calls(records, query) if each else _counts(records, query)),
        query.form,
        query.output,
    )


def _counts(records: "Records", query: Query) -> Report:
    by = query.by
    rows = records.rows(
        sql(
            "requests",
            by=selected(by),
            by_columns="".join(f"{name}, " for name in quoted(by)),
            is_total=f"grouping({', '.join(quoted(by))}) > 0" if by else "true",
            grouping_sets=grouping_sets(by),
        )
    )
    total = next((row for row in rows if row["is_total"]), {})
    totals = {column.name: total.get(column.name) for column in _COUNTS}
    if not totals["requests"]:
        totals |= {
            column.name: 0 for column in _COUNTS if column.kind == "int" and totals[column.name] is None
        }
    shown = (*columns(by), *_COUNTS)
    groups = [row for row in rows if not row["is_total"]] if by else [totals] if totals["requests"] else []
    report = Report(
        "requests",
        records.range,
        shown,
        [{column.name: row[column.name] for column in shown} for row in groups],
        totals,
        records.warnings,
        records.notes,
        total_row=bool(by),
    )
    asked = [query.sort] if query.sort else []
    most_first = [] if by and by[0] in TIME_DIMENSIONS else ["requests"]
    report.arrange([*asked, *most_first, *by], query.limit)
    return report


def _calls(records: "Records", query: Query) -> Report:
    limit = query.limit or _CALLS_SHOWN
    rows = records.rows(sql("calls", limit=limit))
    calls = rows[0]["calls"] if rows else 0
    if calls > len(rows):
        records.notes.append(f"{calls - len(rows):,} older calls are not shown: use --limit.")
    shown: list[dict[str, Any]] = [{column.name: row[column.name] for column in _CALL} for row in rows]
    return Report(
        "requests", records.range, _CALL, shown, {"requests": calls}, records.warnings, records.notes, False
    )
