"""What a call costs: dated prices, matched by exact name, in decimal arithmetic throughout.

    usage = Usage(input_tokens=1000, output_tokens=10)
    PriceBook.load().cost("openai", "gpt-4o-2024-08-06", "gpt-4o", date(2024, 12, 1), usage)

A call that cannot be priced costs `None`, never 0: `PriceBook.rate` says why. The file's format and every
rule applied here are in docs/price-book.md.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from enum import StrEnum
from pathlib import Path

from gateway_contracts.error_class import ErrorClass

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).with_name("prices.yml")

# What the tier of an ordinary call is called: OpenAI states `default`, Anthropic `standard`; most state none.
BASE_TIERS = frozenset({None, "", "default", "standard"})

# Every product and sum of money is exact: 60 digits hold 10^18 tokens at any price with 18 decimals.
EXACT = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)

# Providers bill no call that they refuse, and none that fails on their side. What became of a call that
# timed out, lost its connection or lost its caller is not known here.
NEVER_BILLED = frozenset(
    {
        ErrorClass.INVALID_REQUEST,
        ErrorClass.AUTHENTICATION,
        ErrorClass.PERMISSION,
        ErrorClass.NOT_FOUND,
        ErrorClass.RATE_LIMIT,
        ErrorClass.QUOTA,
        ErrorClass.PROVIDER,
    }
)

_STATED_COST = re.compile(r"\d{1,15}(\.\d{1,18})?")


class PriceBookError(ValueError):
    """A price book that cannot be used; the message names the file, the entry, the field and the remedy."""


class Unpriced(StrEnum):
    """Why a call has no cost; the value completes the sentence "unpriced: ..."."""

    NO_MODEL = "the record names no model"
    NO_PRICE = "the price book has no price for it on that date"
    NO_TIER_PRICE = "the price book has no price for its service tier"
    NO_LONG_CONTEXT_PRICE = "the price book has no price for so long a prompt in its service tier"
    NO_AUDIO_PRICE = "the price book has no price for its audio tokens"
    NO_OUTPUT_PRICE = "the price book has no price for its output tokens"
    UNKNOWN_TOKENS = "its token counts are unknown"
    CONTRADICTORY_TOKENS = "its token counts contradict each other"
    UNREADABLE_COST = "the cost that the provider stated is no decimal number"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of a call; None is unknown, which is not 0.

    `input_tokens` includes cached, cache-writing and audio tokens, `output_tokens` reasoning and audio.
    A detail that is None counts as part of its total, at the plain price.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None

    @property
    def contradictory(self) -> bool:
        """Whether a count is negative, or the parts of a total are more than the total."""
        parts_in = (self.cached_input_tokens or 0, self.cache_write_tokens or 0, self.input_audio_tokens or 0)
        parts_out = (self.output_audio_tokens or 0, self.reasoning_tokens or 0)
        return (
            min(self.input_tokens or 0, self.output_tokens or 0, *parts_in, *parts_out) < 0
            or (self.input_tokens is not None and sum(parts_in) > self.input_tokens)
            or (self.output_tokens is not None and max(parts_out) > self.output_tokens)
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens; None where the book gives no price."""

    input: Decimal
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    input_audio: Decimal | None = None
    output_audio: Decimal | None = None


@dataclass(frozen=True, slots=True)
class LongContext:
    """What every token of a call costs when its input is longer than this."""

    above_input_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of a price book: what a model costs from a UTC date on."""

    provider: str
    model: str
    valid_from: date
    rates: Rates
    aliases: tuple[str, ...] = ()
    learned_at: date | None = None
    source: str | None = None  # where a price that is not the user's own comes from
    service_tiers: Mapping[str, Rates] = field(default_factory=dict)
    long_context: LongContext | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that this entry prices."""
        return (self.model, *self.aliases)

    @property
    def known_from(self) -> date:
        """The UTC date from which the book knew this price; unless it says otherwise, `valid_from`."""
        return self.learned_at or self.valid_from

    def rates_for(self, service_tier: str | None, input_tokens: int | None) -> Rates | Unpriced:
        """The prices of a call in this tier with this many input tokens, or why there are none.

        Base and long-context prices are those of the ordinary tier; another tier has its own or none.
        """
        long = self.long_context is not None and (input_tokens or 0) > self.long_context.above_input_tokens
        tier = self.service_tiers.get(service_tier or "")
        if tier is None and service_tier not in BASE_TIERS:
            return Unpriced.NO_TIER_PRICE
        if long and tier is not None:
            return Unpriced.NO_LONG_CONTEXT_PRICE
        if long and self.long_context is not None:
            return self.long_context.rates
        return tier or self.rates


@dataclass(frozen=True, slots=True)
class Rating:
    """A cost in US dollars with the entry it was computed from, or the reason why there is none."""

    cost: Decimal | None
    unpriced: Unpriced | None = None
    price: Price | None = None
    stated: bool = False  # the cost is the provider's own figure


class PriceBook:
    """Prices by provider, model name and date."""

    def __init__(self, prices: Iterable[Price]) -> None:
        """Take entries already checked; `PriceBook.load` reads and checks a file."""
        self.prices = tuple(prices)
        self._by_name: dict[tuple[str, str], list[Price]] = {}
        for price in sorted(self.prices, key=lambda p: (p.valid_from, p.known_from), reverse=True):
            for name in price.names:
                self._by_name.setdefault((price.provider, name), []).append(price)

    @classmethod
    def load(cls, path: Path | None = None) -> "PriceBook":
        """Read and check a price book; None is the one that ships with the program. Raises PriceBookError."""
        if path is None:
            from gateway_contracts.price_book_cache import read_shipped

            return cls(read_shipped())
        from gateway_contracts.price_book_file import read_prices

        return cls(read_prices(path))

    def as_of(self, day: date) -> "PriceBook":
        """This book with only what it knew at the end of that UTC date."""
        return PriceBook(price for price in self.prices if price.known_from <= day)

    def find(self, provider: str | None, model: str | None, when: date) -> Price | None:
        """The entry in force on a UTC date for exactly this provider and name or alias."""
        if provider is None or model is None:
            return None
        return next((p for p in self._by_name.get((provider, model), ()) if p.valid_from <= when), None)

    def cost(
        self,
        provider: str | None,
        response_model: str | None,
        request_model: str | None,
        when: date,
        usage: Usage,
        service_tier: str | None = None,
        provider_cost_usd: Decimal | str | None = None,
    ) -> Decimal | None:
        """US dollars for a call on this UTC date, exact; None where it cannot be priced."""
        return self.rate(
            provider, response_model, request_model, when, usage, service_tier, provider_cost_usd
        ).cost

    def rate(
        self,
        provider: str | None,
        response_model: str | None,
        request_model: str | None,
        when: date,
        usage: Usage,
        service_tier: str | None = None,
        provider_cost_usd: Decimal | str | None = None,
        *,
        longest_input: int | None = None,
    ) -> Rating:
        """As `cost`, with what it rests on.

        `usage` may be the sum of calls that share everything else here, are all on one side of every
        `long_context_bounds` and agree on which counts are known: a cost is linear in tokens, so the
        result is the exact sum of their costs. `longest_input` is then the longest of their inputs.
        """
        if provider_cost_usd is not None:
            stated = parse_stated_cost(provider_cost_usd)
            return Rating(
                stated, Unpriced.UNREADABLE_COST if stated is None else None, stated=stated is not None
            )
        if response_model is None and request_model is None:
            return Rating(None, Unpriced.NO_MODEL)
        price = self.find(provider, response_model, when) or self.find(provider, request_model, when)
        if price is None:
            return Rating(None, Unpriced.NO_PRICE)
        rates = price.rates_for(service_tier, usage.input_tokens if longest_input is None else longest_input)
        outcome = rates if isinstance(rates, Unpriced) else apply_rates(rates, usage)
        return Rating(None, outcome, price) if isinstance(outcome, Unpriced) else Rating(outcome, None, price)

    @property
    def first_days(self) -> list[date]:
        """Every UTC date on which some price starts to apply, in order."""
        return sorted({price.valid_from for price in self.prices})

    @property
    def long_context_bounds(self) -> list[int]:
        """Every input length above which some model's price changes, in order."""
        return sorted({p.long_context.above_input_tokens for p in self.prices if p.long_context})


def apply_rates(rates: Rates, usage: Usage) -> Decimal | Unpriced:
    """The cost of these tokens at these prices, or why there is none.

    An unknown count only matters where its price is not 0: an embedding has no output to count.
    """
    if usage.contradictory:
        return Unpriced.CONTRADICTORY_TOKENS
    if (usage.input_audio_tokens and rates.input_audio is None) or (
        usage.output_audio_tokens and rates.output_audio is None
    ):
        return Unpriced.NO_AUDIO_PRICE
    if usage.output_tokens and rates.output is None:
        return Unpriced.NO_OUTPUT_PRICE
    if (usage.input_tokens is None and rates.input) or (usage.output_tokens is None and rates.output):
        return Unpriced.UNKNOWN_TOKENS
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    audio_in, audio_out = usage.input_audio_tokens or 0, usage.output_audio_tokens or 0
    terms = (
        ((usage.input_tokens or 0) - cached - written - audio_in, rates.input),
        (cached, rates.input if rates.cached_input is None else rates.cached_input),
        (written, rates.input if rates.cache_write is None else rates.cache_write),
        (audio_in, rates.input_audio),
        ((usage.output_tokens or 0) - audio_out, rates.output),
        (audio_out, rates.output_audio),
    )
    with localcontext(EXACT):
        return sum((Decimal(n) * rate for n, rate in terms if n and rate), Decimal(0)).scaleb(-6)


def parse_stated_cost(value: Decimal | str) -> Decimal | None:
    """A provider's own cost in US dollars; None unless plain, with at most 15 digits and 18 decimals."""
    text = format(value, "f") if isinstance(value, Decimal) else value
    return Decimal(text) if _STATED_COST.fullmatch(text) else None


def format_usd(amount: Decimal) -> str:
    """An exact decimal string with at least two decimals and no needless zeros: 5 is `5.00`, 0.0125 stays."""
    with localcontext(EXACT):
        whole, _, decimals = format(amount, "f").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
