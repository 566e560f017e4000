"""Sums of a day's records, kept beside them: questions of cost then need not read the records again.

STORE/totals/2026-11-22.0123456789abcdef.parquet has the token sums of that UTC day per hour and per all that
a price depends on; prices are applied when a question is asked. The digits stand for the day's Parquet files,
their sizes and times, and for the query that made the sums: where a record came late or a file is another,
there is no file of the right name, and the records themselves are read.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_analytics.price_sql import price_blanks
from gateway_analytics.sql_text import sql
from gateway_contracts.price_book import NEVER_BILLED

if TYPE_CHECKING:
    import duckdb

    from gateway_analytics.timerange import TimeRange

DIRECTORY = "totals"
# Of `grouping.DIMENSIONS` and of the filters, those that sums can tell apart.
DIMENSIONS = frozenset(
    {"day", "hour", "month", "model", "request_model", "provider", "endpoint", "operation", "api_key"}
    | {"owner", "team"}
)
FILTERS = frozenset({"model", "provider", "endpoint", "api_key"})
# Prompts on either side of these lengths are summed apart: there providers' long-prompt prices begin.
BOUNDS = (32_000, 64_000, 100_000, 128_000, 200_000, 256_000, 272_000, 400_000, 512_000, 1_000_000)
_BY = (
    "date_trunc('hour', received_at) AS received_at, endpoint, operation, api_key_id,"
    " min(input_tokens) AS shortest_input, "
)
_HOUR = timedelta(hours=1)


class CannotServeError(Exception):
    """A question that kept sums do not answer: the records do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Files with the sums of some UTC days, and the Parquet files with the records of all other days."""

    files: list[str]
    days: frozenset[str]
    others: list[str]


@cache
def sums_query() -> str:
    """The query that makes a day's sums, over a view `calls` and variable never_billed."""
    return sql("sums", by=_BY, condition="true", **price_blanks(BOUNDS))


def file_name(day: str, parts: Iterable[str]) -> str:
    """The name of the file with the sums of a day that has these Parquet files. Raises OSError."""
    digest = hashlib.sha256(f"{sums_query()}{sorted(NEVER_BILLED)}".encode())
    for path in sorted(parts):
        status = os.stat(path)  # noqa: PTH116 -- hundreds of files
        digest.update(f"{os.path.basename(path)} {status.st_size} {status.st_mtime_ns}\n".encode())  # noqa: PTH119
    return f"{day}.{digest.hexdigest()[:16]}.parquet"


def days_of(parts: Iterable[str]) -> dict[str, list[str]]:
    """Parquet files by the UTC day of their partition."""
    days: dict[str, list[str]] = {}
    for path in parts:
        days.setdefault(path.rsplit("/", 2)[-2].removeprefix("date="), []).append(path)
    return days


def find(store: Path, parts: Sequence[str], span: "TimeRange", unfinished: Iterable[str]) -> Kept:
    """The sums that stand for these Parquet files in a range of time. Raises OSError.

    A day belongs to it where its sums are there, the range ends outside the day or between two of its hours,
    and it is not unfinished: that are days which have records outside these files.
    """
    directory = store / DIRECTORY
    there = set(os.listdir(directory)) if directory.is_dir() else set()  # noqa: PTH208 -- names alone
    begun = {name[:10] for name in there} - set(unfinished)
    files, days, others = [], set(), []
    for day, paths in days_of(parts).items() if there else ():
        name = file_name(day, paths) if day in begun and _ends_between_hours(span, day) else None
        if name in there:
            files.append(str(directory / name))
            days.add(day)
        else:
            others += paths
    return Kept(files, frozenset(days), others if there else list(parts))


def _ends_between_hours(span: "TimeRange", day: str) -> bool:
    ends = []
    if span.since is not None and span.first_utc_date == day:
        ends.append(datetime.fromisoformat(span.since))
    if span.until is not None and span.last_utc_date == day:
        ends.append(datetime.fromisoformat(span.until) + timedelta(microseconds=1))
    return not any(end.astimezone(UTC).timestamp() % _HOUR.total_seconds() for end in ends)


def view_kept(connection: "duckdb.DuckDBPyConnection", kept: Kept, in_range: str, filters: str) -> None:
    """Create the view `kept_records`: the sums, each as if it were a record at the beginning of its hour.

    Raises CannotServeError where a clock in the connection's time zone does not show whole hours then.
    """
    connection.execute("SET VARIABLE totals_files = CAST($files AS VARCHAR[])", {"files": kept.files})
    connection.execute(sql("kept", in_range=in_range, filters=filters))
    end = date.fromisoformat(max(kept.days)) + timedelta(days=1)
    ((odd,),) = connection.execute(
        sql("odd_hours"), {"first": f"{min(kept.days)}T00:00:00Z", "end": f"{end}T00:00:00Z"}
    ).fetchall()
    if odd:
        raise CannotServeError


def check(
    connection: "duckdb.DuckDBPyConnection",
    by: Iterable[str],
    bounds: Sequence[int],
    extra: Mapping[str, str] | None,
) -> None:
    """Raise CannotServeError where sums by these groups and at these long-prompt bounds are not to be had."""
    if extra or not set(by) <= DIMENSIONS:
        raise CannotServeError
    astride = " OR ".join(
        f"(shortest_input <= {bound} AND longest_input > {bound})" for bound in set(bounds) - set(BOUNDS)
    )
    if astride and connection.execute(sql("kept_astride", astride=astride)).fetchall():
        raise CannotServeError
