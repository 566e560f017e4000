"""The history of one model's price."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gateway_analytics.options import as_of_option, chosen_format, output_options, prices_option
from gateway_analytics.price_rows import COLUMNS, price_rows
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange
from gateway_contracts.suggestion import did_you_mean

_COLUMNS = (
    Column("provider"),
    Column("valid_from"),
    Column("valid_until"),
    Column("learned_at"),
    Column("source", missing="your own"),
    *COLUMNS[4:],
)


@click.command(epilog="Example: gateway-analytics prices show gpt-4o")
@click.argument("model")
@prices_option
@as_of_option
@click.option("--provider", metavar="VALUE", multiple=True, help="Only this provider; may be repeated.")
@output_options
def command(
    model: str,
    prices: Path | None,
    as_of: datetime | None,
    provider: tuple[str, ...],
    form: str | None,
    o: Path | None,
) -> None:
    """Every price that a model had: from when until when (UTC dates), and when the book came to know it."""
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write

    book = load_book(prices, as_of)
    rows: list[dict[str, Any]] = []
    for name in sorted(
        {price.provider for price in book.prices if not provider or price.provider in provider}
    ):
        history = sorted(
            (price for price in book.prices if price.provider == name and model in price.names),
            key=lambda price: (price.valid_from, price.known_from),
        )
        for number, price in enumerate(history):
            ends = history[number + 1].valid_from.isoformat() if number + 1 < len(history) else None
            for row in price_rows(price):
                rows.append(
                    {column.name: row.get(column.name) for column in _COLUMNS}
                    | {
                        "valid_until": ends,
                        "learned_at": price.known_from.isoformat(),
                        "source": price.source,
                    }
                )
    if not rows:
        known = {
            n for price in book.prices for n in price.names if not provider or price.provider in provider
        }
        near = did_you_mean(model, sorted(known)) if known else ""
        remedy = near if near.startswith(" Did") else " `gateway-analytics prices list` shows what it has."
        raise UsageProblem(f"the price book has no price for {model!r}.{remedy}")
    write(Report("prices show", TimeRange("UTC"), _COLUMNS, rows), chosen_format(form, o), o)
