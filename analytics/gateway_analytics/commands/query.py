"""Any other question, in SQL."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Kind, Report, check_order

if TYPE_CHECKING:
    import duckdb

    from gateway_analytics.records import Records

_ZONED = "TIMESTAMP WITH TIME ZONE"


@click.command(
    epilog="Example: gateway-analytics query 'SELECT endpoint, sum(cost_usd) FROM costs GROUP BY ALL'"
    " --store /srv/store"
)
@click.argument("statement", metavar="SQL")
@query_options
def command(query: Query, statement: str) -> None:
    """Ask in SQL (DuckDB's), over the views requests, access and costs; `schema` describes their columns.

    One SELECT, which can read nothing but these and change nothing. The range and the filters hold for
    requests and costs; access reaches a day beyond the range on both sides. costs has the columns of
    requests, cost_usd, evidence and why a call is unpriced.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write

    if query.by:
        raise UsageProblem("a query has its own groups. Leave out --by and write GROUP BY.")
    book = load_book(query.prices, query.as_of)

    def answer(records: "Records") -> Report:
        from gateway_analytics.views import create_views

        create_views(records, book)
        _lock(records.connection, query)
        columns, rows = _select(records.connection, statement, query.sort)
        report = Report(
            "query", records.range, columns, rows, {}, records.warnings, records.notes, total_row=False
        )
        report.arrange([query.sort] if query.sort else [], query.limit)
        return report

    write(ask(query, answer, access=True), query.form, query.output)


def _lock(connection: "duckdb.DuckDBPyConnection", query: Query) -> None:
    """Let the connection read the store, and nothing else, from here on."""
    from gateway_analytics.bucket import Bucket

    if query.store is not None:
        bucket = Bucket.of(query.store)
        connection.execute(
            "SET allowed_directories = $paths", {"paths": [bucket.url if bucket else str(query.store)]}
        )
    # Lines of a file that is being written were copied aside.
    files = connection.execute(
        "SELECT unnest(getvariable('records_incoming') || getvariable('access_records_incoming'))"
    ).fetchall()
    connection.execute("SET allowed_paths = $paths", {"paths": [name for (name,) in files]})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _select(
    connection: "duckdb.DuckDBPyConnection", statement: str, order: str | None
) -> tuple[list[Column], list[dict[str, Any]]]:
    import duckdb

    try:
        statements = connection.extract_statements(statement)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageProblem("query takes one SELECT: nothing in a store is changed from here.")
        shape = connection.sql(statements[0].query)  # not executed yet
        names, kinds = shape.columns, [str(kind) for kind in shape.types]
        unique = [n if names.count(n) == 1 else f"{n}_{number}" for number, n in enumerate(names, 1)]
        check_order(order, [Column(name) for name in unique])
        text = statements[0].query
        values = connection.execute(_with_texts(text, kinds) if _ZONED in kinds else text).fetchall()
    except duckdb.Error as error:
        text = str(error).strip()
        raise UsageProblem(f"the query cannot be answered: {text}") from None
    rows = [{name: _plain(value) for name, value in zip(unique, row, strict=True)} for row in values]
    return [Column(name, _kind(rows, name)) for name in unique], rows


def _with_texts(statement: str, kinds: list[str]) -> str:
    """The statement with its moments as RFC 3339 texts: DuckDB makes Python's only with pytz at hand."""
    shown = ", ".join(
        f"zoned(c{n}, '%Y-%m-%dT%H:%M:%S.%f')" if kind == _ZONED else f"c{n}" for n, kind in enumerate(kinds)
    )
    places = ", ".join(f"c{n}" for n in range(len(kinds)))
    # The user's own statement, checked to be a SELECT, on a connection that can change nothing.
    return f"SELECT {shown} FROM ({statement.strip().rstrip(';')}\n) AS answer({places})"  # noqa: S608


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return value if value.is_finite() else str(value)
        case float():
            return value if value == value and abs(value) != float("inf") else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return [str(_plain(item)) for item in value]
        case _:
            return str(value)


def _kind(rows: list[dict[str, Any]], name: str) -> Kind:
    sample = next((row[name] for row in rows if row[name] is not None), None)
    match sample:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "number"
        case Decimal():
            return "usd"
        case _:
            return "text"
