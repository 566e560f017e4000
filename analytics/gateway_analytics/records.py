"""Request records as a DuckDB view, wherever they come from, each once."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway_analytics import timerange
from gateway_analytics.problems import UsageProblem
from gateway_analytics.results import read_results
from gateway_analytics.sql_text import sql
from gateway_analytics.store import StoreFiles, list_files, settled_problems
from gateway_contracts.request_record import FIELDS, SCHEMA_VERSION

if TYPE_CHECKING:
    import duckdb

    from gateway_analytics.options import Query

T = TypeVar("T")

_TYPES = {"int": "BIGINT", "text": "VARCHAR", "bool": "BOOLEAN", "number": "DOUBLE"}
_COLUMNS = {known.name: _TYPES[known.type] for known in FIELDS}
_INVALID = " OR ".join(f"{known.name} IS NULL" for known in FIELDS if not known.nullable)
_IN_RANGE = (
    "received_at >= coalesce(getvariable('since'), TIMESTAMPTZ '-infinity')"
    " AND received_at <= coalesce(getvariable('until'), TIMESTAMPTZ 'infinity')"
)
# DuckDB refuses to read no files.
_PARQUET = "read_parquet(getvariable('parquet_files'), union_by_name = true, hive_partitioning = false)"
_NO_RECORDS = "(SELECT * FROM template LIMIT 0)"
_NO_LINES = (
    "(SELECT * REPLACE (CAST(received_at AS VARCHAR) AS received_at), '' AS filename FROM template LIMIT 0)"
)
# What a filter's values are compared with; an empty value stands for records that have none.
_FILTERED = {
    "model": ("response_model", "request_model"),
    "provider": ("provider",),
    "endpoint": ("endpoint",),
    "api_key": ("api_key_id",),
    "user": ("end_user",),
    "host": ("host",),
    "status": ("CAST(http_status AS VARCHAR)", "concat(http_status // 100, 'xx')"),
}
_TRIES = 5


@dataclass
class Records:
    """An open connection with the view `records`, and what is known of the data behind it."""

    connection: "duckdb.DuckDBPyConnection"
    range: timerange.TimeRange
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Every row of a query, by column name."""
        cursor = self.connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def ask(query: "Query", question: Callable[[Records], T]) -> T:
    """Open the records that a query is about and put a question to them. Raises UsageProblem.

    Asks again where compaction replaced a file between listing and reading it.
    """
    import duckdb

    for attempt in range(1, _TRIES + 1):
        files = StoreFiles([], [])
        connection = duckdb.connect(
            config={"autoinstall_known_extensions": False, "temp_directory": tempfile.gettempdir()}
        )
        try:
            span = timerange.resolve(connection, query.tz, query.since, query.until, query.last)
            if query.store is not None:
                files = list_files(query.store, span.first_utc_date, span.last_utc_date)
            return question(_open(connection, span, query, files))
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            if attempt < _TRIES and files.vanished:
                continue
            reason = str(error).partition("\n")[0]
            raise UsageProblem(f"the store cannot be read: {reason}") from error
        finally:
            connection.close()
    raise AssertionError("unreachable: the last try returns or raises")


def _open(
    connection: "duckdb.DuckDBPyConnection", span: timerange.TimeRange, query: "Query", files: StoreFiles
) -> Records:
    records = Records(connection, span)
    schema = ", ".join(f"{name} {kind}" for name, kind in (_COLUMNS | {"received_at": "TIMESTAMPTZ"}).items())
    connection.execute(f"CREATE TEMP TABLE template ({schema})")
    if query.results is not None:
        _insert(connection, read_results(query.results))
    _set(connection, "incoming_files", files.incoming)
    _set(connection, "parquet_files", files.parquet)
    connection.execute(
        sql(
            "records",
            incoming_source=_json_source("incoming_files", ", filename = true")
            if files.incoming
            else _NO_LINES,
            parquet_source=_PARQUET if files.parquet else _NO_RECORDS,
            invalid=_INVALID,
            schema_version=SCHEMA_VERSION,
            in_range=_IN_RANGE,
            filters=_filters(connection, query.filters),
        )
    )
    _check_lines(records)
    if query.store is not None and not files.incoming and not files.parquet:
        records.notes.append(
            "the store holds no records"
            + (
                " of that time."
                if span.since or span.until
                else " yet: nothing was called, or nothing has arrived."
            )
        )
    return records


def _json_source(variable: str, more: str = "") -> str:
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    return (
        f"read_json(getvariable('{variable}'), columns = {{{columns}}},"
        f" format = 'newline_delimited', ignore_errors = true{more})"
    )


def _insert(connection: "duckdb.DuckDBPyConnection", records: Sequence[Mapping[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "results.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        _set(connection, "results_files", [str(path)])
        connection.execute(sql("results", source=_json_source("results_files")))


def _set(connection: "duckdb.DuckDBPyConnection", variable: str, values: Sequence[str]) -> None:
    connection.execute(f"SET VARIABLE {variable} = CAST($values AS VARCHAR[])", {"values": list(values)})


def _filters(connection: "duckdb.DuckDBPyConnection", filters: Mapping[str, Sequence[str]]) -> str:
    conditions = []
    for name, values in filters.items():
        if values:
            _set(connection, f"only_{name}", values)
            matches = (
                f"list_contains(getvariable('only_{name}'), coalesce({e}, ''))" for e in _FILTERED[name]
            )
            conditions.append(f"({' OR '.join(matches)})")
    return " AND ".join(conditions) or "true"


def _check_lines(records: Records) -> None:
    found = records.rows(sql("line_problems", invalid=_INVALID, schema_version=SCHEMA_VERSION))
    invalid = {
        row["filename"]: settled_problems(row["filename"], row["invalid"]) for row in found if row["invalid"]
    }
    invalid = {name: count for name, count in invalid.items() if count}
    if invalid:
        records.warnings.append(
            f"not counted: {plural(sum(invalid.values()), 'line')} without a valid record,"
            f" in {plural(len(invalid), 'incoming file')} (first: {Path(min(invalid)).name})"
        )
    newer = sum(row["newer"] for row in found)
    if not newer:
        newer = records.rows(sql("newer_records", schema_version=SCHEMA_VERSION))[0]["newer"]
    if newer:
        message = f"{plural(newer, 'record')} of a schema_version above {SCHEMA_VERSION}"
        if not records.rows("SELECT 1 FROM records LIMIT 1"):
            raise UsageProblem(f"the store has only {message}. Use the gateway-analytics of that version.")
        records.warnings.append(f"not counted: {message}; use the gateway-analytics of that version")


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 line, 2 lines."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
