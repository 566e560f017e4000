"""What each key was used for, and whose it was."""

from collections.abc import Sequence

import click

from gateway_analytics.grouping import columns, quoted, selected
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.sql_text import sql

_COLUMNS = (
    Column("requests", "int"),
    Column("failed_requests", "int"),
    Column("input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("cost_usd", "usd", missing="unpriced"),
    Column("percent", "number"),
    Column("unpriced_requests", "int"),
    Column("first_used", "time"),
    Column("last_used", "time"),
)


@click.command(epilog="Example: gateway-analytics keys --last 30d --store /srv/store")
@query_options
def command(query: Query) -> None:
    """Calls, tokens and cost per key and, with --owners, per owner and team; dearest first.

    Ownership has dates: a key that moves takes none of its past with it. Spend without a key, or with one
    that nobody owned on that day, is a line of its own. percent is a line's share of the cost.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, load_book
    from gateway_analytics.output import write
    from gateway_analytics.records import Records

    book = load_book(query.prices, query.as_of)
    by: Sequence[str] = query.by or (("api_key", "owner", "team") if query.owners else ("api_key",))

    shown = (*columns(by), *_COLUMNS)
    check_order(query.sort, shown)

    def answer(records: Records) -> Report:
        priced = costs(records, book, by)
        names = quoted(by)
        used = {
            tuple(row[name] for name in by): row
            for row in records.rows(
                sql(
                    "keys",
                    by=selected(by),
                    by_columns="".join(f"{n}, " for n in names),
                    group=", ".join(names),
                )
            )
        }
        total = priced.total.as_row()
        rows = []
        for key, cost in priced.groups.items():
            row = dict(zip(by, key, strict=True)) | cost.as_row()
            share = (
                float(cost.cost_usd / total["cost_usd"] * 100)
                if cost.cost_usd and total["cost_usd"]
                else None
            )
            row |= {name: used[key][name] for name in ("first_used", "last_used")}
            rows.append(row | {"percent": None if share is None else round(share, 3)})
        report = Report(
            "keys",
            records.range,
            shown,
            [{column.name: row[column.name] for column in shown} for row in rows],
            {name: total[name] for name in total if name in {column.name for column in shown}},
            records.warnings + priced.warnings,
            records.notes + ([priced.sentence] if priced.sentence else []),
        )
        report.arrange([*([query.sort] if query.sort else []), "cost_usd", "requests", *by], query.limit)
        return report

    write(ask(query, answer), query.form, query.output)
