"""How long calls took, and where the time went."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.grouping import columns, grouping_sets, quoted, selected
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.sql_text import sql

if TYPE_CHECKING:
    from gateway_analytics.records import Records

# In whole microseconds, as gateways record them: DuckDB puts integers in order faster than fractions.
_OWN = {
    "total": "duration_ms * 1000",
    "upstream": "upstream_ms * 1000",
    "first_token": "time_to_first_token_ms * 1000",
    "gateway": "(duration_ms - upstream_ms) * 1000",
}
_BALANCER = "load_balancer"
_MEASURES = (*_OWN, _BALANCER)
_AT_A_TIME = 2
_COLUMNS = (
    Column("measure"),
    Column("requests", "int"),
    *(Column(name, "number") for name in ("p50_ms", "p90_ms", "p99_ms", "max_ms")),
)


@click.command(epilog="Example: gateway-analytics latency --by model --last 1d --store /srv/store")
@query_options
@click.option(
    "--measure",
    "asked",
    metavar="MEASURE",
    multiple=True,
    type=click.Choice(_MEASURES),
    help=f"Only this one of {', '.join(_MEASURES)}; may be repeated.",
)
def command(query: Query, asked: tuple[str, ...]) -> None:
    """How long calls took: percentiles and the longest, in milliseconds, from the single calls of each group.

    total is received to last byte sent, upstream what the gateway waited for the provider, first_token the
    time to a stream's first token, gateway total less upstream, load_balancer what the load balancer saw
    beyond the total.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.output import write
    from gateway_analytics.totals import SHARES

    check_order(query.sort, (*columns(query.by), *_COLUMNS))
    measures = [name for name in _MEASURES if name in (asked or _MEASURES)]
    own = [name for name in measures if name in _OWN]
    reports = []
    if own:
        reports.append(ask(query, lambda records: _measured(records, query, own)))
    if _BALANCER in measures:
        balanced = ask(
            query, lambda records: _measured(records, query, [_BALANCER]), access=True, kept=SHARES
        )
        reports.append(balanced)
    report = reports[-1]
    report.rows = [row for part in reports for row in part.rows]
    report.totals = {name: row for part in reports for name, row in part.totals.items()}
    report.warnings = list(dict.fromkeys(line for part in reports for line in part.warnings))
    report.arrange([*([query.sort] if query.sort else []), *query.by], query.limit)
    write(report, query.form, query.output)


def _measured(records: "Records", query: Query, measures: Sequence[str]) -> Report:
    """The report on these measures, of which two are asked for at a time: their values are all in memory."""
    by = query.by
    found = []
    for first in range(0, len(measures), _AT_A_TIME):
        some = measures[first : first + _AT_A_TIME]
        found += [(name, row) for row in _rows(records, by, some) for name in some if row[f"{name}_count"]]
    return Report(
        "latency",
        records.range,
        (*columns(by), *_COLUMNS),
        [
            {group: row[group] for group in by} | {"measure": name} | _milliseconds(row, name)
            for name, row in found
            if not (by and row["is_total"])
        ],
        {name: _milliseconds(row, name) for name, row in found if row["is_total"]},
        records.warnings,
        records.notes,
        total_row=False,
    )


def _rows(records: "Records", by: Sequence[str], measures: Sequence[str]) -> list[dict[str, Any]]:
    from gateway_analytics.engine import duckdb

    try:
        return records.rows(_question(records, by, measures, "INTEGER"))
    except duckdb.ConversionException:  # a call of more than half an hour
        return records.rows(_question(records, by, measures, "BIGINT"))


def _question(records: "Records", by: Sequence[str], measures: Sequence[str], integer: str) -> str:
    values, sources = dict(_OWN), ["calls WHERE final"]
    if _BALANCER in measures:
        values = {_BALANCER: "load_balancer_us"}
        sources = [f"({sql('shares', columns='calls.*, ')})"] if records.has_records else []
        sources += ["kept"] if records.has_kept else []
    measured = ", ".join(f"CAST({values[name]} AS {integer}) AS {name}" for name in measures)
    select = f"SELECT {selected(by)}{measured} FROM "  # noqa: S608 -- no input
    return sql(
        "latency",
        measured=" UNION ALL ".join(select + source for source in sources),
        measures=", ".join(
            f"count({m}) AS {m}_count, max({m}) AS {m}_max,"
            f" quantile_cont({m}, [0.5, 0.9, 0.99]) AS {m}_quantiles"
            for m in measures
        ),
        by_columns="".join(f"{name}, " for name in quoted(by)),
        is_total=f"grouping({', '.join(quoted(by))}) > 0" if by else "true",
        grouping_sets=grouping_sets(by),
    )


def _milliseconds(row: dict[str, Any], measure: str) -> dict[str, Any]:
    p50, p90, p99 = (round(value / 1000, 3) for value in row[f"{measure}_quantiles"])
    return {
        "requests": row[f"{measure}_count"],
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "max_ms": row[f"{measure}_max"] / 1000,
    }
