"""What calls cost."""

from typing import TYPE_CHECKING

import click

from gateway_analytics.evidence import EVIDENCE
from gateway_analytics.grouping import TIME_DIMENSIONS, columns
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order

if TYPE_CHECKING:
    from gateway_analytics.records import Records

_COLUMNS = (
    Column("requests", "int"),
    Column("successful_requests", "int"),
    Column("failed_requests", "int"),
    Column("input_tokens", "int"),
    Column("cached_input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("cost_usd", "usd", missing="unpriced"),
    Column("cost_per_request_usd", "usd"),
    Column("unpriced_requests", "int"),
    *(Column(name, "usd") for name in EVIDENCE),
)


@click.command(epilog="Example: gateway-analytics costs --by day --by model --last 7d --store /srv/store")
@query_options
def command(query: Query) -> None:
    """What calls cost, in US dollars, exactly.

    Requests are calls; tokens and cost are those of every attempt. What the price book cannot price is
    counted in unpriced_requests and named on standard error; it is never taken for free.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, load_book, unused_evidence
    from gateway_analytics.output import write
    from gateway_analytics.totals import SUMS

    shown = (*columns(query.by), *_COLUMNS)
    check_order(query.sort, shown)
    book = load_book(query.prices, query.as_of)

    def answer(records: "Records") -> Report:
        priced = costs(records, book, query.by)
        total = priced.total.as_row()
        rows = [dict(zip(query.by, key, strict=True)) | cost.as_row() for key, cost in priced.groups.items()]
        report = Report(
            "costs",
            records.range,
            shown,
            rows,
            total,
            records.warnings + priced.warnings,
            records.notes + ([priced.sentence] if priced.sentence else []),
            total_row=bool(query.by),
            hidden=unused_evidence(priced),
        )
        report.arrange(orders(query), query.limit)
        return report

    write(ask(query, answer, kept=SUMS), query.form, query.output)


def orders(query: Query) -> list[str]:
    """As asked; else time forwards, else the dearest first; then by group."""
    asked = [query.sort] if query.sort else []
    biggest_first = [] if query.by and query.by[0] in TIME_DIMENSIONS else ["cost_usd", "requests"]
    return [*asked, *biggest_first, *query.by]
