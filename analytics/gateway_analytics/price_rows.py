"""Entries of a price book as rows: one for the base price, one per service tier, one for long prompts."""

from collections.abc import Iterator
from typing import Any

from gateway_analytics.report import Column
from gateway_contracts.price_book import Price, Rates

RATES = ("input", "cached_input", "cache_write", "output", "input_audio", "output_audio")
COLUMNS = (
    *(Column(name) for name in ("provider", "model", "aliases", "valid_from", "service_tier")),
    Column("above_input_tokens", "int"),
    *(Column(name, "usd") for name in RATES),
)


def price_rows(price: Price) -> Iterator[dict[str, Any]]:
    """What the entry says, in US dollars per million tokens."""
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
        yield (
            entry
            | {"service_tier": tier, "above_input_tokens": above}
            | {name: getattr(rates, name) for name in RATES}
        )
