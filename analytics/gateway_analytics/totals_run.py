"""Making the sums that `totals` describes."""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_analytics import totals
from gateway_analytics.compaction import PARQUET, open_duckdb, quoted, sync_file
from gateway_analytics.manifest import sync_directory
from gateway_analytics.record_kind import REQUESTS
from gateway_analytics.sql_text import sql
from gateway_analytics.store import list_parts
from gateway_contracts.price_book import NEVER_BILLED

if TYPE_CHECKING:
    import duckdb

_MEMORY = "512MB"


def refresh(store: Path) -> int:
    """Make the sums of every closed day that lacks them, remove all others; return how many were made.

    For a time when nobody else changes the store. Killed at any moment it leaves no file of a valid name that
    is not whole. Raises OSError, duckdb.Error.
    """
    directory = store / totals.DIRECTORY
    today = datetime.now(UTC).date().isoformat()
    wanted: dict[str, tuple[str, list[str]]] = {}
    for partition in (store / REQUESTS.name).glob("date=*"):
        day = partition.name.removeprefix("date=")
        parts = list_parts(partition)
        if parts and _is_date(day) and day < today:
            wanted[totals.file_name(day, parts)] = day, parts
    there = set(os.listdir(directory)) if directory.is_dir() else set()  # noqa: PTH208 -- names alone
    for name in there - wanted.keys():
        (directory / name).unlink()
    missing = sorted(wanted.keys() - there)
    if not missing:
        return 0
    directory.mkdir(exist_ok=True)
    with open_duckdb(store, _MEMORY, threads=2) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "SET VARIABLE never_billed = CAST($classes AS VARCHAR[])", {"classes": sorted(NEVER_BILLED)}
        )
        return sum(_make(connection, directory / name, *wanted[name]) for name in missing)


def _make(connection: "duckdb.DuckDBPyConnection", path: Path, day: str, parts: list[str]) -> bool:
    """Write the sums of a day; not of one that sums would misrepresent."""
    import duckdb

    connection.execute("SET VARIABLE parts = CAST($parts AS VARCHAR[])", {"parts": parts})
    connection.execute(sql("day_calls"))
    (found,) = connection.execute(sql("day_bounds")).fetchall()
    if found != (day, day, REQUESTS.schema_version, REQUESTS.schema_version):
        return False
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        connection.execute(
            sql("write_totals", sums=totals.sums_query(), path=quoted(temporary), options=PARQUET)
        )
    except (duckdb.OutOfRangeException, duckdb.ConversionException):
        temporary.unlink(missing_ok=True)
        return False
    sync_file(temporary)
    temporary.replace(path)
    sync_directory(path.parent)
    return True


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
