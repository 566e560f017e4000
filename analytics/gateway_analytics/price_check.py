"""What looks wrong in a price book that can be read: gaps, and prices that were probably mistyped."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from gateway_contracts.price_book import Price, PriceBook, Rates

_JUMP = 10  # a price that changes by more than this factor is rather a slip of the decimal point


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; `kind` is gap, odd or unpriced."""

    kind: str
    provider: str | None
    model: str
    valid_from: str | None
    problem: str


def findings(book: PriceBook) -> Iterator[Finding]:
    """Check every entry by itself and against the one that it follows."""
    for price in book.prices:
        for name, rates in (
            ("", price.rates),
            *((f" in tier {t}", r) for t, r in price.service_tiers.items()),
        ):
            for problem in _odd(rates):
                yield _finding("odd", price, problem + name)
    for before, after in _successions(book):
        for tier in sorted(set(before.service_tiers) - set(after.service_tiers)):
            yield _finding(
                "gap", after, f"calls in tier {tier} were priced before, and are unpriced from here on"
            )
        for name in ("input", "output"):
            old, new = getattr(before.rates, name), getattr(after.rates, name)
            if old and new and not Decimal(1) / _JUMP <= new / old <= _JUMP:
                yield _finding("odd", after, f"{name} jumps from {old} to {new}: is it per million tokens?")


def _finding(kind: str, price: Price, problem: str) -> Finding:
    return Finding(kind, price.provider, price.model, price.valid_from.isoformat(), problem)


def _odd(rates: Rates) -> Iterator[str]:
    if not rates.input:
        yield "input costs nothing"
    if rates.cached_input is not None and rates.cached_input > rates.input:
        yield f"cached_input {rates.cached_input} is dearer than input {rates.input}"
    if rates.output is not None and rates.output < rates.input / _JUMP:
        yield f"output {rates.output} is far below input {rates.input}: are they swapped?"


def _successions(book: PriceBook) -> Iterator[tuple[Price, Price]]:
    """Each entry that follows another for one of its names, with that other; a pair comes once."""
    seen: set[tuple[int, int]] = set()
    latest: dict[tuple[str, str], Price] = {}
    for price in sorted(book.prices, key=lambda p: (p.valid_from, p.known_from)):
        for name in price.names:
            before = latest.get((price.provider, name))
            if before is not None and (id(before), id(price)) not in seen:
                seen.add((id(before), id(price)))
                yield before, price
            latest[price.provider, name] = price
