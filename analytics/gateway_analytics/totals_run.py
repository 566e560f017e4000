"""Making what `totals` describes."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_analytics import totals
from gateway_analytics.compaction import PARQUET, open_duckdb, quoted, sync_file
from gateway_analytics.manifest import sync_directory
from gateway_analytics.record_kind import ACCESS, REQUESTS, RecordKind
from gateway_analytics.sql_text import set_list, sql
from gateway_analytics.store import list_parts
from gateway_contracts.price_book import NEVER_BILLED

if TYPE_CHECKING:
    import duckdb

_MEMORY = "512MB"
_VERSIONS = (REQUESTS.schema_version, REQUESTS.schema_version)


def refresh(store: Path) -> int:
    """Make what is kept of every closed day and lacks yet, remove all else; return how many were made.

    For a time when nobody else changes the store. Killed at any moment it leaves no file of a valid name that
    is not whole. Raises OSError, duckdb.Error.
    """
    directory = store / totals.DIRECTORY
    wanted = {name: (kind, day, parts) for name, kind, day, parts in _wanted(store)}
    there = set(os.listdir(directory)) if directory.is_dir() else set()  # noqa: PTH208 -- names alone
    for name in there - wanted.keys():
        (directory / name).unlink()
    missing = sorted(wanted.keys() - there)
    if not missing:
        return 0
    directory.mkdir(exist_ok=True)
    with open_duckdb(store, _MEMORY, threads=2) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        set_list(connection, "never_billed", sorted(NEVER_BILLED))
        return sum(_make(connection, directory / name, *wanted[name]) for name in missing)


def _wanted(store: Path) -> Iterator[tuple[str, totals.Kind, str, list[str]]]:
    """What there should be: its name, kind and day, and the Parquet files that it is made of."""
    requests, access = _days(store, REQUESTS), _days(store, ACCESS)
    today = datetime.now(UTC).date()
    # Calls of the day before yesterday have no access record of today.
    closed = {totals.SUMS: today} | ({totals.SHARES: today - timedelta(days=1)} if access else {})
    for kind, until in closed.items():
        for day in requests:
            if day < until.isoformat():
                parts = totals.sources(kind, day, requests, access)
                yield totals.file_name(kind, day, parts), kind, day, parts


def _days(store: Path, kind: RecordKind) -> dict[str, list[str]]:
    """The Parquet files of every day that has some."""
    partitions = ((path.name.removeprefix("date="), path) for path in (store / kind.name).glob("date=*"))
    days = {day: list_parts(path) for day, path in partitions if _is_date(day)}
    return {day: parts for day, parts in days.items() if parts}


def _make(
    connection: "duckdb.DuckDBPyConnection", path: Path, kind: totals.Kind, day: str, parts: list[str]
) -> bool:
    """Write what is kept of a day; not of one that it would misrepresent."""
    import duckdb

    try:
        for view, records in (("calls", REQUESTS), ("access_records", ACCESS)):
            _view(connection, view, records, [part for part in parts if f"/{records.name}/date=" in part])
        (found,) = connection.execute(sql("day_bounds")).fetchall()
    except (duckdb.IOException, duckdb.InvalidInputException):
        return False  # a damaged file: questions that read it say so
    if found not in [(day, day, *_VERSIONS, version) for version in (None, ACCESS.schema_version)]:
        return False
    temporary = path.with_name(f".{path.name}.tmp")
    write = "write_totals" if kind is totals.SUMS else "write_shares"
    try:
        connection.execute(sql(write, made=totals.query(kind), path=quoted(temporary), options=PARQUET))
    except (duckdb.OutOfRangeException, duckdb.ConversionException):
        temporary.unlink(missing_ok=True)
        return False
    sync_file(temporary)
    temporary.replace(path)
    sync_directory(path.parent)
    return True


def _view(connection: "duckdb.DuckDBPyConnection", name: str, kind: RecordKind, parts: list[str]) -> None:
    """Create a view of the records in these Parquet files."""
    none = ", ".join(f"CAST(NULL AS {type_}) AS {column}" for column, type_ in kind.stored_columns.items())
    # DuckDB refuses to read no files.
    empty = f"(SELECT {none} LIMIT 0)"
    listed = ", ".join(quoted(Path(part)) for part in parts)
    source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)" if parts else empty
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM {source}")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
