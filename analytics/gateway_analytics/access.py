"""The load balancer's records as a DuckDB view, beside the request records of a store."""

from datetime import date, timedelta
from pathlib import Path

from gateway_analytics.options import Query
from gateway_analytics.records import Records
from gateway_analytics.sql_text import sql
from gateway_contracts.access_record import FIELDS, SCHEMA_VERSION

_TYPES = {"int": "BIGINT", "text": "VARCHAR", "bool": "BOOLEAN", "number": "DOUBLE"}
_COLUMNS = {known.name: _TYPES.get(known.type, "VARCHAR") for known in FIELDS}
_INVALID = " OR ".join(f"{known.name} IS NULL" for known in FIELDS if not known.nullable)
_NONE = "(SELECT * FROM access_template LIMIT 0)"
_NO_LINES = "(SELECT * REPLACE (CAST(received_at AS VARCHAR) AS received_at) FROM access_template LIMIT 0)"
_DAY = timedelta(days=1)


def open_access(records: Records, query: Query, *, in_range: bool = False) -> bool:
    """Create the view `access`, each record once; say whether there are any files behind it.

    It reaches a day beyond the range on both sides, so that calls around midnight find their counterpart;
    with `in_range` it holds the range alone.
    """
    span = records.range
    incoming: list[str] = []
    parquet: list[str] = []
    if query.store is not None:
        first = _day(span.first_utc_date, -_DAY)
        last = _day(span.last_utc_date, _DAY)
        incoming = _files(query.store / "incoming" / "access", "*.jsonl")
        parquet = [
            name
            for name in _files(query.store / "access", "date=*/*.parquet")
            if (day := Path(name).parent.name.removeprefix("date="))
            and (first or day) <= day <= (last or day)
        ]
    execute = records.connection.execute
    for variable, names in {"access_incoming": incoming, "access_parquet": parquet}.items():
        execute(f"SET VARIABLE {variable} = CAST($names AS VARCHAR[])", {"names": names})
    schema = ", ".join(f"{name} {kind}" for name, kind in (_COLUMNS | {"received_at": "TIMESTAMPTZ"}).items())
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    lines = (
        f"read_json(getvariable('access_incoming'), columns = {{{columns}}},"
        " format = 'newline_delimited', ignore_errors = true)"
    )
    compacted = "read_parquet(getvariable('access_parquet'), union_by_name = true, hive_partitioning = false)"
    execute(f"CREATE OR REPLACE TEMP TABLE access_template ({schema})")
    execute(
        sql(
            "access",
            incoming_source=lines if incoming else _NO_LINES,
            parquet_source=compacted if parquet else _NONE,
            invalid=_INVALID,
            schema_version=SCHEMA_VERSION,
            condition="received_at >= coalesce(getvariable('since'), TIMESTAMPTZ '-infinity')"
            " AND received_at <= coalesce(getvariable('until'), TIMESTAMPTZ 'infinity')"
            if in_range
            else "true",
        )
    )
    return bool(incoming or parquet)


def _files(directory: Path, pattern: str) -> list[str]:
    return sorted(str(path) for path in directory.glob(pattern) if not path.name.startswith("."))


def _day(text: str | None, shift: timedelta) -> str | None:
    return (date.fromisoformat(text) + shift).isoformat() if text else None
