"""What the price book says."""

from datetime import datetime
from pathlib import Path

import click

from gateway_analytics.options import as_of_option, chosen_format, output_options, prices_option
from gateway_analytics.price_rows import COLUMNS, price_rows
from gateway_analytics.report import Report
from gateway_analytics.timerange import TimeRange


@click.command(epilog="Example: gateway-analytics prices list --provider openai --model gpt-4o")
@prices_option
@as_of_option
@click.option("--provider", metavar="VALUE", multiple=True, help="Only this provider; may be repeated.")
@click.option(
    "--model", metavar="VALUE", multiple=True, help="Only this model name or alias; may be repeated."
)
@output_options
def command(
    prices: Path | None,
    as_of: datetime | None,
    provider: tuple[str, ...],
    model: tuple[str, ...],
    form: str | None,
    o: Path | None,
) -> None:
    """The prices that costs are computed with, in US dollars per million tokens."""
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write

    rows = [
        row
        for price in load_book(prices, as_of).prices
        if (not provider or price.provider in provider) and (not model or set(model) & set(price.names))
        for row in price_rows(price)
    ]
    notes = [] if rows else ["no price matches."]
    write(Report("prices", TimeRange("UTC"), COLUMNS, rows, notes=notes), chosen_format(form, o), o)
