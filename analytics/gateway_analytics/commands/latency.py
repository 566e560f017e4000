"""How long calls took, and where the time went."""

from collections.abc import Sequence
from typing import Any

import click

from gateway_analytics.grouping import columns, grouping_sets, quoted, selected
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report
from gateway_analytics.sql_text import sql

# Measure: what of a call it is.
_MEASURES = ("total", "upstream", "first_token", "gateway", "load_balancer")
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
    help="Only this one; may be repeated. Without load_balancer its records are not read: much faster.",
)
def command(query: Query, asked: tuple[str, ...]) -> None:
    """How long calls took: percentiles and the longest, in milliseconds, from the single calls of each group.

    total is received to last byte sent, upstream what the gateway waited for the provider, first_token the
    time to a stream's first token, gateway total less upstream, load_balancer what the load balancer saw
    beyond the total.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.output import write
    from gateway_analytics.records import Records

    measures = [name for name in _MEASURES if name in (asked or _MEASURES)]
    balanced = "load_balancer" in measures

    def answer(records: Records) -> Report:
        by = query.by
        rows = records.rows(
            sql(
                "latency",
                by=selected(by),
                by_columns="".join(f"{name}, " for name in quoted(by)),
                is_total=f"grouping({', '.join(quoted(by))}) > 0" if by else "true",
                grouping_sets=grouping_sets(by),
                measures=", ".join(
                    f"count({m}) AS {m}_count, max({m}) AS {m}_max,"
                    f" quantile_cont({m}, [0.5, 0.9, 0.99]) AS {m}_quantiles"
                    for m in measures
                ),
                request_id="request_id," if balanced else "",
                measured=sql("latency_balanced" if balanced else "latency_alone"),
            )
        )
        groups = [row for row in rows if not row["is_total"]] if by else rows
        report = Report(
            "latency",
            records.range,
            (*columns(by), *_COLUMNS),
            [
                {name: row[name] for name in by} | measured
                for row in groups
                for measured in _measured(row, measures)
            ],
            {m.pop("measure"): m for row in rows if row["is_total"] for m in _measured(row, measures)},
            records.warnings,
            records.notes,
            total_row=False,
        )
        report.arrange([*([query.sort] if query.sort else []), *by], query.limit)
        return report

    write(ask(query, answer, access=balanced), query.form, query.output)


def _measured(row: dict[str, Any], measures: Sequence[str]) -> list[dict[str, Any]]:
    """The measures that this group has values of."""
    return [
        {
            "measure": name,
            "requests": row[f"{name}_count"],
            **dict(
                zip(
                    ("p50_ms", "p90_ms", "p99_ms"),
                    (round(value, 3) for value in row[f"{name}_quantiles"]),
                    strict=True,
                )
            ),
            "max_ms": round(row[f"{name}_max"], 3),
        }
        for name in measures
        if row[f"{name}_count"]
    ]
