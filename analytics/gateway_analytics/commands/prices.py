"""What the price book says."""

from pathlib import Path
from typing import Any

import click

from gateway_analytics.options import chosen_format, output_options, prices_option
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange
from gateway_contracts.price_book import Rates

_RATES = ("input", "cached_input", "cache_write", "output", "input_audio", "output_audio")
_COLUMNS = (
    *(Column(name) for name in ("provider", "model", "aliases", "valid_from", "service_tier")),
    Column("above_input_tokens", "int"),
    *(Column(name, "usd") for name in _RATES),
)


@click.command(epilog="Example: gateway-analytics prices --provider openai --model gpt-4o")
@prices_option
@click.option("--provider", metavar="VALUE", multiple=True, help="Only this provider; may be repeated.")
@click.option(
    "--model", metavar="VALUE", multiple=True, help="Only this model name or alias; may be repeated."
)
@output_options
def command(
    prices: Path | None, provider: tuple[str, ...], model: tuple[str, ...], form: str | None, o: Path | None
) -> None:
    """The prices that costs are computed with, in US dollars per million tokens."""
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write

    rows: list[dict[str, Any]] = []
    for price in load_book(prices).prices:
        if (provider and price.provider not in provider) or (model and not set(model) & set(price.names)):
            continue
        entry = {
            "provider": price.provider,
            "model": price.model,
            "aliases": list(price.aliases),
            "valid_from": price.valid_from.isoformat(),
        }
        listed: list[tuple[str | None, int | None, Rates]] = [
            (None, None, price.rates),
            *((tier, None, rates) for tier, rates in price.service_tiers.items()),
        ]
        if price.long_context:
            listed.append((None, price.long_context.above_input_tokens, price.long_context.rates))
        for tier, above, rates in listed:
            rows.append(
                entry
                | {"service_tier": tier, "above_input_tokens": above}
                | {name: getattr(rates, name) for name in _RATES}
            )
    notes = [] if rows else ["no price matches."]
    write(Report("prices", TimeRange("UTC"), _COLUMNS, rows, notes=notes), chosen_format(form, o), o)
