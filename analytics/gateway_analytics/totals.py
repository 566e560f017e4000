"""What is kept of a day's records, beside them: questions then need not read the records again.

STORE/totals/2026-11-22.0123456789abcdef.parquet has the token sums of that UTC day per hour and per all that
a price depends on; prices are applied when a question is asked. 2026-11-22.0123456789abcdef.shares.parquet
has what the load balancers added to each of its calls, for which every call's access record had to be found.
The digits stand for the Parquet files that it was made of, their sizes and times, and for the query that made
it: where a record came late or a file is another, there is no file of the right name, and the records
themselves are read.
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
from gateway_analytics.sql_text import set_list, sql
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
# By a name of `options.Query.filters` each.
_EVERY_FILTER = frozenset({"model", "provider", "endpoint", "api_key", "user", "host", "status"})
# Of UTC. date_trunc asks a calendar, which takes as long as all the rest.
_ITS_HOUR = "make_timestamptz(epoch_us(received_at) // 3600000000 * 3600000000) AS received_at"
_BY = f"{_ITS_HOUR}, endpoint, operation, api_key_id, min(input_tokens) AS shortest_input, "
# The columns that groups and filters look at.
_SHARES_COLUMNS = (
    f"{_ITS_HOUR}, provider, endpoint, operation, request_model, response_model,"
    " host, instance, api_key_id, http_status, error_class, end_user, "
)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class CannotServeError(Exception):
    """A question that kept sums do not answer: the records do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that is kept of days: how its files' names end, and the filters that it can tell apart."""

    suffix: str
    filters: frozenset[str]


SUMS = Kind(".parquet", FILTERS)
SHARES = Kind(".shares.parquet", _EVERY_FILTER)


@dataclass(frozen=True, slots=True)
class Kept:
    """Files with what is kept of some UTC days, and the Parquet files with the records of all other days."""

    files: list[str]
    days: frozenset[str]
    others: list[str]


@cache
def query(kind: Kind) -> str:
    """The query that makes what is kept of a day.

    Sums are made over a view `calls` and variable never_billed, shares over `calls` and `access_records`.
    """
    if kind is SHARES:
        return sql("shares", columns=_SHARES_COLUMNS)
    return sql("sums", by=_BY, condition="true", **price_blanks(BOUNDS))


def file_name(kind: Kind, day: str, parts: Iterable[str]) -> str:
    """The name of the file that is kept of a day, made of these Parquet files. Raises OSError."""
    digest = hashlib.sha256(f"{query(kind)}{sorted(NEVER_BILLED)}".encode())
    for path in sorted(parts):
        status = os.stat(path)  # noqa: PTH116 -- hundreds of files
        name = path.split("/")[-3:] if kind is SHARES else [os.path.basename(path)]  # noqa: PTH119
        digest.update(f"{'/'.join(name)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return f"{day}.{digest.hexdigest()[:16]}{kind.suffix}"


def sources(
    kind: Kind, day: str, requests: Mapping[str, Sequence[str]], access: Mapping[str, Sequence[str]]
) -> list[str]:
    """The Parquet files, of those given by day, that something kept of a day is made of."""
    around = around_days([day]) if kind is SHARES else ()
    return [*requests.get(day, ()), *(path for other in around for path in access.get(other, ()))]


def around_days(days: Iterable[str]) -> set[str]:
    """These days and their neighbours: a call's access record may be of the day before or after."""
    return {(date.fromisoformat(day) + by).isoformat() for day in days for by in (-_DAY, 0 * _DAY, _DAY)}


def days_of(parts: Iterable[str]) -> dict[str, list[str]]:
    """Parquet files by the UTC day of their partition."""
    days: dict[str, list[str]] = {}
    for path in parts:
        days.setdefault(path.rsplit("/", 2)[-2].removeprefix("date="), []).append(path)
    return days


def find(
    store: Path,
    kind: Kind,
    parts: Sequence[str],
    access_parts: Sequence[str],
    span: "TimeRange",
    unfinished: Iterable[str],
) -> Kept:
    """What is kept of days that have these Parquet files of requests, in a range of time. Raises OSError.

    A day belongs to it where its file is there, the range ends outside the day or between two of its hours,
    and it is not unfinished: that are days which have records outside these files.
    """
    directory = store / DIRECTORY
    there = set(os.listdir(directory)) if directory.is_dir() else set()  # noqa: PTH208 -- names alone
    begun = {name[:10] for name in there if name[27:] == kind.suffix} - set(unfinished)
    requests, access = days_of(parts), days_of(access_parts)
    files, days, others = [], set(), []
    for day, paths in requests.items():
        whole = day in begun and _ends_between_hours(span, day)
        name = file_name(kind, day, sources(kind, day, requests, access)) if whole else None
        if name in there:
            files.append(str(directory / name))
            days.add(day)
        else:
            others += paths
    return Kept(files, frozenset(days), others)


def _ends_between_hours(span: "TimeRange", day: str) -> bool:
    ends = []
    if span.since is not None and span.first_utc_date == day:
        ends.append(datetime.fromisoformat(span.since))
    if span.until is not None and span.last_utc_date == day:
        ends.append(datetime.fromisoformat(span.until) + timedelta(microseconds=1))
    return not any(end.astimezone(UTC).timestamp() % _HOUR.total_seconds() for end in ends)


def view_kept(connection: "duckdb.DuckDBPyConnection", kept: Kept, in_range: str, filters: str) -> None:
    """Create the view `kept_records`: what is kept, as if it were records at the beginning of their hour.

    Raises CannotServeError where a clock in the connection's time zone does not show whole hours then.
    """
    set_list(connection, "totals_files", kept.files)
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
