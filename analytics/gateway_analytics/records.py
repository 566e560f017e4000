"""Records as DuckDB views, wherever they come from, each once."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gateway_analytics import incoming, quarantine, timerange, totals
from gateway_analytics.bucket import Bucket
from gateway_analytics.manifest import Manifest
from gateway_analytics.problems import UsageProblem
from gateway_analytics.record_kind import ACCESS, REQUESTS, RecordKind
from gateway_analytics.results import read_results
from gateway_analytics.sql_text import set_list, sql
from gateway_analytics.store import StoreFiles, list_files

if TYPE_CHECKING:
    import duckdb

    from gateway_analytics.options import Query

T = TypeVar("T")

# DuckDB's part; the rest of the process takes a few hundred megabytes at most.
_MOST_MEMORY = 1_500_000_000
_BYTES = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

_IN_RANGE = (
    "received_at >= coalesce(getvariable('since') - getvariable('margin'), TIMESTAMPTZ '-infinity')"
    " AND received_at <= coalesce(getvariable('until') + getvariable('margin'), TIMESTAMPTZ 'infinity')"
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
_TRIES = 20


@dataclass
class Records:
    """An open connection with the view `records`, and what is known of the data behind it."""

    connection: "duckdb.DuckDBPyConnection"
    range: timerange.TimeRange
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_kept: bool = False  # whether some days are in the view `kept_records` in place of `records`
    has_records: bool = True  # whether there is anything in `records` besides

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Every row of a query, by column name."""
        cursor = self.connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def ask(
    query: "Query",
    question: Callable[[Records], T],
    *,
    access: bool = False,
    kept: totals.Kind | None = None,
) -> T:
    """Open the records that a query is about and put a question to them. Raises UsageProblem.

    With `access` there is a view `access_records` as well, of the load balancers' records, without filters;
    both views then reach a day beyond the range on either side: what belongs together has not the same time.
    With `kept`, days of which that is kept may be in `kept_records` instead; `totals` says which. `records`
    need not reach beyond the range then.
    Asks again where compaction replaced a file between listing and reading it.
    """
    from gateway_analytics.engine import duckdb

    kinds = {"records": REQUESTS} | ({"access_records": ACCESS} if access else {})
    margin = timedelta(days=1 if access else 0)
    if kept and not {name for name, some in query.filters.items() if some} <= kept.filters:
        kept = None
    for attempt in range(1, _TRIES + 1):
        files: dict[str, StoreFiles] = {}
        connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        try:
            connection.execute("SET enable_progress_bar = false")  # it would be drawn on standard output
            _bound_memory(connection)
            clock = "utc(moment)" if query.tz == "UTC" else "moment"
            connection.execute(sql("moments", clock=clock))
            if bucket := Bucket.of(query.store or ""):
                bucket.open_for(connection)
            span = timerange.resolve(connection, query.tz, query.since, query.until, query.last)
            connection.execute("SET VARIABLE margin = $margin", {"margin": margin})
            for view, kind in kinds.items():
                # Of days beyond the range, whoever can do with what is kept looks at access records alone.
                reach = timedelta() if kept and kind is REQUESTS else margin
                dates = _shifted(span.first_utc_date, -reach), _shifted(span.last_utc_date, reach)
                files[view] = (
                    list_files(query.store, *dates, kind) if query.store is not None else StoreFiles([], [])
                )
            with tempfile.TemporaryDirectory(prefix="gateway-analytics-", dir=_spill_place()) as directory:
                # A place of its own: what two processes spill into the same one gets mixed up.
                connection.execute("SET temp_directory = $directory", {"directory": directory})
                records = Records(connection, span)
                checked = {
                    view: incoming.check(connection, files[view], kind, Path(directory))
                    for view, kind in kinds.items()
                }
                parts = {view: listed.parquet for view, listed in files.items()}
                if kept and query.store is not None and (query.store / totals.DIRECTORY).is_dir():
                    parts = _replace_kept(records, kept, query, kinds, checked, parts)
                for view, kind in kinds.items():
                    _open(records, kind, view, query, checked[view], parts[view], Path(directory))
                _notes(records, query, files["records"])
                answer = question(records)
            # What was read under a listed name may be a later file, and the first one then in no listed file.
            if attempt == _TRIES or not any(listed.replaced for listed in files.values()):
                return answer
        except totals.CannotServeError:
            kept = None
        except (duckdb.IOException, duckdb.InvalidInputException, OSError) as error:
            if kept:  # a file of theirs may be gone or damaged: the records are what counts
                kept = None
                continue
            if attempt < _TRIES and any(listed.vanished for listed in files.values()):
                continue
            reason = str(error).partition("\n")[0].rstrip(".")
            raise UsageProblem(
                f"the store cannot be read: {reason}. Run as a user who may, or put a good copy in its place."
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise UsageProblem(
                "the question needs more memory than there is. Ask for a shorter time or fewer groups."
            ) from error
        finally:
            connection.close()
    raise AssertionError("unreachable: the last try returns or raises")


def _bound_memory(connection: "duckdb.DuckDBPyConnection") -> None:
    """Keep below what DuckDB takes by itself: four fifths of the machine's memory, or of the container's."""
    ((found,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = found.split()
    if float(number) * _BYTES[unit] > _MOST_MEMORY:
        connection.execute(f"SET memory_limit = '{_MOST_MEMORY}B'")


def _spill_place() -> str | None:
    """Where questions put what memory does not hold: /var/tmp, as /tmp may be memory itself; or TMPDIR."""
    return "/var/tmp" if "TMPDIR" not in os.environ and os.access("/var/tmp", os.W_OK) else None  # noqa: S108


def _shifted(day: str | None, by: timedelta) -> str | None:
    return (date.fromisoformat(day) + by).isoformat() if day else None


def _open(
    records: Records,
    kind: RecordKind,
    view: str,
    query: "Query",
    checked: incoming.CheckedFiles,
    parts: Sequence[str],
    directory: Path,
) -> None:
    """Create the view over one kind of records. Raises UsageProblem."""
    connection = records.connection
    columns = kind.read_columns | {"received_at": "TIMESTAMPTZ"}
    schema = ", ".join(f"{name} {type_name}" for name, type_name in columns.items())
    connection.execute(f"CREATE TEMP TABLE {view}_template ({schema})")
    if query.results is not None:
        _insert(connection, read_results(query.results), directory)
    set_list(connection, f"{view}_incoming", checked.files)
    filters = _filters(connection, query.filters) if kind is REQUESTS else "true"
    set_list(connection, f"{view}_parquet", parts)
    # DuckDB refuses to read no files.
    none = f"(FROM {view}_template LIMIT 0)"
    no_lines = f"(SELECT * REPLACE (CAST(received_at AS VARCHAR) AS received_at) FROM {none})"  # noqa: S608 -- no input
    parquet = f"read_parquet(getvariable('{view}_parquet'), union_by_name = true, hive_partitioning = false)"
    connection.execute(
        sql(
            "records",
            view=view,
            key=", ".join(kind.key),
            incoming_source=kind.lines(f"getvariable('{view}_incoming')") if checked.files else no_lines,
            parquet_source=parquet if parts else none,
            invalid=" OR ".join(f"{name} IS NULL" for name in kind.required),
            schema_version=kind.schema_version,
            in_range=_IN_RANGE,
            filters=filters,
        )
    )
    _warn(records, kind, view, checked)


def _replace_kept(
    records: Records,
    kept: totals.Kind,
    query: "Query",
    kinds: Mapping[str, RecordKind],
    checked: Mapping[str, incoming.CheckedFiles],
    parts: dict[str, list[str]],
) -> dict[str, list[str]]:
    """View what is kept of days, and return the Parquet files of each view that are left to be read."""
    assert query.store is not None  # noqa: S101 -- only stores keep something
    lines = {view: _days(records.connection, kind, checked[view].files) for view, kind in kinds.items()}
    late = totals.around_days(lines.get("access_records", ()))
    access_parts = parts.get("access_records", [])
    found = totals.find(
        query.store, kept, parts["records"], access_parts, records.range, {*lines["records"], *late}
    )
    if not found.files:
        return parts
    totals.view_kept(records.connection, found, _IN_RANGE, _filters(records.connection, query.filters))
    records.has_kept = True
    records.has_records = bool(found.others or checked["records"].files)
    left = {"records": found.others}
    if access_parts:
        near = totals.around_days([*totals.days_of(found.others), *lines["records"]])
        by_day = totals.days_of(access_parts)
        left["access_records"] = [path for day in sorted(near & by_day.keys()) for path in by_day[day]]
    return parts | left


def _days(connection: "duckdb.DuckDBPyConnection", kind: RecordKind, names: Sequence[str]) -> list[str]:
    """The UTC days of which these incoming files have lines, or might have."""
    if not names:
        return []
    source = kind.lines("CAST($files AS VARCHAR[])")
    return [day for (day,) in connection.execute(sql("days", source=source), {"files": names}).fetchall()]


def _insert(
    connection: "duckdb.DuckDBPyConnection", records: Sequence[Mapping[str, Any]], directory: Path
) -> None:
    path = directory / "results.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    set_list(connection, "results_files", [str(path)])
    connection.execute(sql("results", source=REQUESTS.lines("getvariable('results_files')")))


def _filters(connection: "duckdb.DuckDBPyConnection", filters: Mapping[str, Sequence[str]]) -> str:
    conditions = []
    for name, values in filters.items():
        if values:
            set_list(connection, f"only_{name}", values)
            matches = (
                f"list_contains(getvariable('only_{name}'), coalesce({e}, ''))" for e in _FILTERED[name]
            )
            conditions.append(f"({' OR '.join(matches)})")
    return " AND ".join(conditions) or "true"


def _warn(records: Records, kind: RecordKind, view: str, checked: incoming.CheckedFiles) -> None:
    """Say which lines and records are left out. Raises UsageProblem where that is all there are."""
    what = "record" if kind is REQUESTS else "access record"
    if invalid := checked.invalid:
        records.warnings.append(
            f"not counted: {plural(sum(invalid.values()), 'line')} without a valid {what},"
            f" in {plural(len(invalid), 'incoming file')} (first: {Path(min(invalid)).name})"
        )
    newer = checked.newer
    if not newer:
        rows = records.rows(sql("newer_records", view=view, schema_version=kind.schema_version))
        newer = rows[0]["newer"]
    if newer:
        message = f"{plural(newer, what)} of a schema_version above {kind.schema_version}"
        if not records.rows(sql("any_record", view=view)):
            raise UsageProblem(f"the store has only {message}. Use the gateway-analytics of that version.")
        records.warnings.append(f"not counted: {message}; use the gateway-analytics of that version")


def _notes(records: Records, query: "Query", files: StoreFiles) -> None:
    """Say what is in quarantine, and that there is nothing, where that is so. Raises OSError."""
    if query.store is None:
        return
    if lines := quarantine.count(query.store, Manifest.load(query.store)):
        records.warnings.append(
            f"not counted: {plural(lines, 'line')} in quarantine; see {query.store / quarantine.DIRECTORY}"
        )
    if not files.incoming and not files.parquet:
        when = " of that time." if records.range.since or records.range.until else None
        records.notes.append(
            f"the store holds no records{when or ' yet: nothing was called, or nothing has arrived.'}"
        )


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 line, 2 lines."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
