"""The newest calls, and those that are being made."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report
from gateway_analytics.sql_text import sql
from gateway_analytics.timerange import TimeRange

if TYPE_CHECKING:
    from gateway_analytics.records import Records

_COLUMNS = (
    Column("received_at"),
    Column("status"),
    Column("duration_ms", "number"),
    Column("model"),
    Column("input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("api_key"),
    Column("user"),
    Column("endpoint"),
    Column("host"),
    Column("error_class"),
    Column("request_id"),
)
_SHOWN = 10
# How far to look back for the newest calls of a store, which may hold years; at last as far as it reaches.
_LOOKS = ("1d", "30d", None)
_POLL_SECONDS = 0.5


@click.command(epilog="Example: gateway-analytics tail --status 5xx --store /srv/store")
@query_options
@click.option("-f", "--follow", is_flag=True, help="Go on with calls as they arrive, until interrupted.")
@click.option(
    "--stop-after", metavar="CALLS", type=click.IntRange(min=1), help="With -f: end after so many new calls."
)
def command(query: Query, follow: bool, stop_after: int | None) -> None:
    """The newest calls, the last one at the end; 10 unless --limit says more.

    With -f calls appear as their records arrive, a line each, as text or as JSON lines.
    """
    from gateway_analytics.bucket import Bucket
    from gateway_analytics.call_lines import Follower
    from gateway_analytics.calls import ask
    from gateway_analytics.output import tell, write

    if query.by or query.sort:
        raise UsageProblem("tail shows calls by time. Use it without --by and --sort.")
    if follow and (query.store is None or query.output or query.form not in ("table", "jsonl")):
        raise UsageProblem(
            "-f follows a store and writes text or --format jsonl. Leave out -o and --results."
        )
    if follow and Bucket.of(query.store or ""):
        raise UsageProblem(
            "-f follows records as they arrive, and none arrive in a bucket. Name the store's directory."
        )
    shown = query.limit or _SHOWN
    follower = Follower(query.store / "incoming" / "requests") if follow and query.store else None

    def answer(records: "Records") -> Report:
        newest = records.rows(sql("calls", limit=shown))
        rows = [{column.name: row[column.name] for column in _COLUMNS} for row in reversed(newest)]
        return Report(
            "tail", records.range, _COLUMNS, rows, {}, records.warnings, records.notes, total_row=False
        )

    anywhere = query.store is not None and query.since is query.until is query.last is None
    for period in _LOOKS if anywhere else (query.last,):
        report = ask(replace(query, last=period), answer)
        if len(report.rows) == shown:
            break
    if anywhere:
        report.range = TimeRange(query.tz)
    if follower is None:
        write(report, query.form, query.output)
        return
    tell(report)
    seen = {row["request_id"] for row in report.rows}
    for row in report.rows:
        _print(row, query.form)
    _follow(follower, query, seen, stop_after)


def _follow(follower: Any, query: Query, seen: set[str], stop_after: int | None) -> None:
    from gateway_analytics.call_lines import matches

    shown = 0
    while True:
        for record in follower.records():
            if not record["final"] or record["request_id"] in seen or not matches(record, query.filters):
                continue
            _print(_row(record, query.tz), query.form)
            shown += 1
            if shown == stop_after:
                return
        seen.clear()  # only what came between the first look and the first poll could be shown twice
        time.sleep(_POLL_SECONDS)


def _row(record: Mapping[str, Any], tz: str) -> dict[str, Any]:
    same = {column.name: record.get(column.name) for column in _COLUMNS}
    return same | {
        "received_at": _local(record["received_at"], tz),
        "status": record["http_status"],
        "model": record.get("response_model") or record.get("request_model"),
        "api_key": record.get("api_key_id"),
        "user": record.get("end_user"),
    }


def _local(text: str, tz: str) -> str:
    """The time in the user's zone, written as DuckDB's answers have it."""
    from datetime import datetime
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        moment = datetime.fromisoformat(text).astimezone(ZoneInfo(tz))
    except ZoneInfoNotFoundError:
        return text
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _print(row: Mapping[str, Any], form: str) -> None:
    from gateway_analytics.text import shortened

    if form == "jsonl":
        line = json.dumps(row)
    else:
        texts = (f"{value:,.1f}" if isinstance(value, float) else value for value in row.values())
        cells = ["-" if text is None else shortened(str(text)) for text in texts]
        line = "  ".join(cells)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
