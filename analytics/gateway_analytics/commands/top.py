"""The biggest of everything, at a glance."""

from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.grouping import DIMENSIONS
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report

if TYPE_CHECKING:
    from gateway_analytics.records import Records
    from gateway_contracts.price_book import PriceBook

_BY = ("model", "api_key", "user", "endpoint", "host")
_COLUMNS = (
    Column("what"),
    Column("name", missing="(none)"),
    Column("requests", "int"),
    Column("failed_requests", "int"),
    Column("cost_usd", "usd", missing="unpriced"),
    Column("percent", "number"),
    Column("unpriced_requests", "int"),
    Column("trend"),
)
_SHOWN = 5
_BUCKETS = 24


@click.command(epilog="Example: gateway-analytics top --last 7d --store /srv/store")
@query_options
def command(query: Query) -> None:
    """The dearest models, keys, users, endpoints and hosts, with the trend of their cost.

    --limit says how many of each, 5 unless given; --by which of them. The trend has a bar per day, or per
    hour where the calls are of two days at most. percent is a share of the whole cost.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import Cost, costs, load_book
    from gateway_analytics.output import write
    from gateway_analytics.records import Records, plural
    from gateway_analytics.spark import spark_line

    book = load_book(query.prices, query.as_of)
    by = query.by or _BY

    def answer(records: Records) -> Report:
        days = records.rows("SELECT count(DISTINCT CAST(received_at AS DATE)) AS n FROM calls")[0]["n"]
        step = "CAST(received_at AS DATE)" if days > 2 else "epoch_ms(date_trunc('hour', received_at))"
        rows: list[dict[str, Any]] = []
        total, sentence, warnings = Cost(), None, []
        for what in by:
            priced = costs(records, book, (what,))
            total, sentence, warnings = priced.total, priced.sentence, priced.warnings
            largest = sorted(
                ((key[0], cost) for key, cost in priced.groups.items()),
                key=lambda item: (-(item[1].cost_usd or 0), -item[1].requests, str(item[0])),
            )
            shown = largest[: query.limit or _SHOWN]
            trends = _trends(records, book, what, step, [name for name, _ in shown])
            if len(largest) > len(shown):
                records.notes.append(
                    f"{plural(len(largest) - len(shown), f'more {what}')} not shown: use --limit."
                )
            for name, cost in shown:
                share = cost.cost_usd / total.cost_usd * 100 if cost.cost_usd and total.cost_usd else None
                rows.append(
                    {column.name: cost.as_row().get(column.name) for column in _COLUMNS}
                    | {
                        "what": what,
                        "name": None if name is None else str(name),
                        "percent": None if share is None else round(float(share), 2),
                        "trend": spark_line(trends[name]),
                    }
                )
        report = Report(
            "top",
            records.range,
            _COLUMNS,
            rows,
            {name: value for name, value in total.as_row().items() if name in {c.name for c in _COLUMNS}},
            records.warnings + warnings,
            records.notes + ([sentence] if sentence else []),
        )
        report.arrange([query.sort] if query.sort else [], None)
        return report

    write(ask(query, answer), query.form, query.output)


def _trends(
    records: "Records", book: "PriceBook", what: str, step: str, names: list[Any]
) -> dict[Any, list[float]]:
    """The cost of each of these per step (SQL over a record), oldest first."""
    from gateway_analytics.costing import costs

    records.connection.execute(
        "SET VARIABLE top_names = CAST($names AS VARCHAR[])",
        {"names": ["" if name is None else str(name) for name in names]},
    )
    named = f"list_contains(getvariable('top_names'), coalesce(CAST({DIMENSIONS[what]} AS VARCHAR), ''))"
    priced = costs(records, book, (what,), extra={"step": step}, condition=named)
    steps = sorted({key[-1] for key in priced.groups})[-_BUCKETS:]
    spent = {key: float(cost.cost_usd or 0) for key, cost in priced.groups.items()}
    return {name: [spent.get((name, moment), 0.0) for moment in steps] for name in names}
