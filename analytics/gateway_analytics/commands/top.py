"""The biggest of everything, at a glance."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.grouping import DIMENSIONS
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.sql_text import sql

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
_DAYS_BY_HOUR = 2
_COUNTS = ("requests", "failed_requests", "unpriced_requests")


@click.command(epilog="Example: gateway-analytics top --last 7d --store /srv/store")
@query_options
def command(query: Query) -> None:
    """The dearest models, keys, users, endpoints and hosts, with the trend of their cost.

    --limit says how many of each, 5 unless given; --by which of them. The trend has a bar per day, or per
    hour where the calls are of two days at most. percent is a share of the whole cost.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, load_book
    from gateway_analytics.output import write
    from gateway_analytics.records import Records, plural

    check_order(query.sort, _COLUMNS)
    book = load_book(query.prices, query.as_of)
    by = query.by or _BY

    def answer(records: Records) -> Report:
        priced = costs(records, book, ())
        total = priced.total.as_row()
        rows: list[dict[str, Any]] = []
        found = _groups(records, book, by)
        for what in by:
            largest = sorted(
                found[what],
                key=lambda row: (-(row["cost_usd"] or 0), -row["requests"], row["name"] or ""),
            )
            shown = largest[: query.limit or _SHOWN]
            if more := len(largest) - len(shown):
                records.notes.append(f"{plural(more, f'more {what}')} not shown: use --limit.")
            for row in shown:
                share = row["cost_usd"] / total["cost_usd"] * 100 if row["cost_usd"] else None
                rows.append(row | {"percent": None if share is None else round(float(share), 2)})
        report = Report(
            "top",
            records.range,
            _COLUMNS,
            [{column.name: row[column.name] for column in _COLUMNS} for row in rows],
            {name: value for name, value in total.items() if name in {c.name for c in _COLUMNS}},
            records.warnings + priced.warnings,
            records.notes + ([priced.sentence] if priced.sentence else []),
        )
        report.arrange([query.sort] if query.sort else [], None)
        return report

    write(ask(query, answer), query.form, query.output)


def _groups(records: "Records", book: "PriceBook", by: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Every value of each group, with its trend, from one pass over the calls."""
    from gateway_analytics.costing import exact_sum
    from gateway_analytics.spark import spark_line
    from gateway_analytics.views import create_costs

    create_costs(records, book)
    days = records.rows("SELECT count(DISTINCT CAST(received_at AS DATE)) AS n FROM calls")[0]["n"]
    columns = [f"g{number}" for number in range(len(by))]
    per_step = records.rows(
        sql(
            "top",
            columns="".join(
                f"CAST({DIMENSIONS[name]} AS VARCHAR) AS {c}, " for name, c in zip(by, columns, strict=True)
            ),
            step="epoch_ms(date_trunc('day', received_at))"
            if days > _DAYS_BY_HOUR
            else "epoch_ms(date_trunc('hour', received_at))",
            which=" ".join(f"WHEN grouping({c}) = 0 THEN {number}" for number, c in enumerate(columns)),
            value=" ".join(f"WHEN grouping({c}) = 0 THEN {c}" for c in columns),
            sets=", ".join(f"({c}, step)" for c in columns),
        )
    )
    steps = sorted({row["step"] for row in per_step})[-_BUCKETS:]
    found: dict[str, dict[str | None, dict[str, Any]]] = {name: {} for name in by}
    for row in per_step:
        group = found[by[row["which"]]].setdefault(
            row["name"],
            {"spent": None, "steps": {}} | dict.fromkeys(_COUNTS, 0),
        )
        for name in _COUNTS:
            group[name] += row[name]
        if row["spent"] is not None:
            group["spent"] = exact_sum((group["spent"] or Decimal(0), row["spent"]))
            group["steps"][row["step"]] = float(row["spent"])
    return {
        what: [
            {
                "what": what,
                "name": name,
                **{count: group[count] for count in _COUNTS},
                # Nothing spent and nothing unpriced: it cost nothing.
                "cost_usd": Decimal(0)
                if group["spent"] is None and not group["unpriced_requests"]
                else group["spent"],
                "trend": spark_line([group["steps"].get(step, 0.0) for step in steps]),
            }
            for name, group in groups.items()
        ]
        for what, groups in found.items()
    }
