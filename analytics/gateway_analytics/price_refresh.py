"""What a newer price catalogue adds to a price book: entries, never changes to those that are there."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from gateway_analytics.price_catalog import released
from gateway_contracts.price_book import Price, PriceBook, Rates, format_usd

_RATES = ("input", "cached_input", "cache_write", "output", "input_audio", "output_audio")
_PLAIN = re.compile(r"[a-z][a-z0-9._-]*[a-z0-9]|[a-z]")
_YAML_WORDS = {"y", "n", "yes", "no", "true", "false", "on", "off", "null"}

What = Literal["new", "changed", "corrected", "own"]


@dataclass(frozen=True, slots=True)
class Change:
    """A price of the catalogue that the book does not have, beside the one that it has.

    `new` models, `changed` prices and those `corrected` for a day that the book knew wrongly become entries;
    of the user's `own` prices it is only said that the catalogue differs.
    """

    what: What
    price: Price
    before: Price | None


def changes(book: PriceBook, catalog: Iterable[Price], today: date, source: str) -> Iterator[Change]:
    """Compare each price of a catalogue with the newest of the book for the same name."""
    for listed in catalog:
        # Names whose price changed in the same way share an entry, as they did before.
        names: dict[tuple[What, date, int], list[str]] = {}
        found: dict[int, Price | None] = {}
        for name in listed.names:
            before = book.find(listed.provider, name, date.max)
            verdict = _compared(before, listed, name, today)
            if verdict is not None:
                found[id(before)] = before
                names.setdefault((*verdict, id(before)), []).append(name)
        for (what, start, which), some in names.items():
            price = replace(
                listed,
                model=some[0],
                aliases=tuple(some[1:]),
                valid_from=start,
                learned_at=max(today, start),
                source=source,
            )
            yield Change(what, price, found[which])


def _compared(before: Price | None, listed: Price, name: str, today: date) -> tuple[What, date] | None:
    """What a listed price is to the book, and from when it applies; None where it adds nothing."""
    if before is None:
        first = released(name)
        return "new", first if first and first < listed.valid_from else listed.valid_from
    if _says_nothing_new(before, listed):
        return None
    if before.source is None:
        return "own", listed.valid_from
    if before.valid_from < listed.valid_from:
        return "changed", listed.valid_from
    if before.valid_from == listed.valid_from and before.known_from < today:
        return "corrected", listed.valid_from
    return None  # the book knows a later price than this catalogue


def _says_nothing_new(before: Price, listed: Price) -> bool:
    """Whether the book says all that the catalogue does: tiers that a catalogue leaves out stay."""
    return (
        before.rates == listed.rates
        and all(before.service_tiers.get(tier) == rates for tier, rates in listed.service_tiers.items())
        and listed.long_context in (None, before.long_context)
    )


def as_yaml(price: Price) -> str:
    """An entry as it stands in a price book file."""
    lines = [f"  - provider: {_name(price.provider)}", f"    model: {_name(price.model)}"]
    if price.aliases:
        lines.append(f"    aliases: [{', '.join(_name(alias) for alias in price.aliases)}]")
    lines.append(f"    valid_from: {price.valid_from}")
    if price.learned_at:
        lines.append(f"    learned_at: {price.learned_at}")
    if price.source:
        lines.append(f"    source: {json.dumps(price.source)}")
    lines.append(f"    usd_per_million: {_rates(price.rates)}")
    if price.service_tiers:
        lines.append("    service_tiers:")
        lines += [f"      {_name(tier)}: {_rates(rates)}" for tier, rates in price.service_tiers.items()]
    if price.long_context:
        bound = f"above_input_tokens: {price.long_context.above_input_tokens}"
        lines.append(f"    long_context: {{{bound}, {_rates(price.long_context.rates)[1:]}")
    return "\n".join(lines) + "\n"


def _rates(rates: Rates) -> str:
    amounts: list[tuple[str, Decimal | None]] = [(name, getattr(rates, name)) for name in _RATES]
    return (
        "{"
        + ", ".join(f'{name}: "{format_usd(amount)}"' for name, amount in amounts if amount is not None)
        + "}"
    )


def _name(text: str) -> str:
    # JSON strings are YAML's double-quoted ones.
    return text if _PLAIN.fullmatch(text) and text not in _YAML_WORDS else json.dumps(text)
