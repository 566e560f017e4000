"""The cost of a call: by whom, which model, when, and what was used."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_contracts.price_book import LongContext, Price, PriceBook, Rates, Unpriced, Usage, format_usd

DAY = date(2026, 1, 1)
BOOK = """
schema_version: 1
prices:
  - provider: openai
    model: big
    aliases: [big-1]
    valid_from: 2025-01-01
    usd_per_million: {input: "5.00", cached_input: "2.50", cache_write: "6.25", output: "15.00"}
    service_tiers: {batch: {input: "2.50", output: "7.50"}}
    long_context: {above_input_tokens: 1000, input: "10.00", output: "20.00"}
  - provider: openai
    model: big
    valid_from: 2026-06-01
    usd_per_million: {input: "1.00", output: "2.00"}
  - provider: openai
    model: voice
    valid_from: 2025-01-01
    usd_per_million: {input: "1.00", output: "2.00", input_audio: "40.00", output_audio: "80.00"}
  - provider: openai
    model: embed
    valid_from: 2025-01-01
    usd_per_million: {input: "0.02"}
"""


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "prices.yml"
    path.write_text(BOOK)
    return PriceBook.load(path)


def cost(
    book: PriceBook, model: str | None = "big", when: date = DAY, tier: str | None = None, **tokens: int
) -> Decimal | None:
    usage = Usage(**({"output_tokens": 0} | tokens))
    return book.cost("openai", model, None, when, usage, tier)


def test_every_kind_of_token_has_its_price(book: PriceBook) -> None:
    tokens = {"input_tokens": 100, "cached_input_tokens": 30, "cache_write_tokens": 20, "output_tokens": 10}
    assert cost(book, **tokens) == Decimal("0.0006")  # 50*5 + 30*2.5 + 20*6.25 + 10*15 = 600 per million


def test_reasoning_is_part_of_output_and_not_charged_again(book: PriceBook) -> None:
    assert cost(book, input_tokens=0, output_tokens=10, reasoning_tokens=8) == Decimal("0.00015")


def test_cached_and_written_tokens_without_a_price_cost_as_input(book: PriceBook) -> None:
    later = date(2026, 7, 1)
    assert cost(book, when=later, input_tokens=9, cached_input_tokens=3, cache_write_tokens=3) == Decimal(
        "0.000009"
    )


def test_the_newest_price_that_has_begun_applies(book: PriceBook) -> None:
    million = {"input_tokens": 1000}
    assert cost(book, when=date(2026, 5, 31), **million) == Decimal("0.005")
    assert cost(book, when=date(2026, 6, 1), **million) == Decimal("0.001")


def test_before_its_first_price_a_model_is_unpriced(book: PriceBook) -> None:
    assert (
        book.rate("openai", "big", None, date(2024, 12, 31), Usage(1, None, None, 1)).unpriced
        is Unpriced.NO_PRICE
    )


def test_an_alias_keeps_the_price_of_its_own_entry(book: PriceBook) -> None:
    assert cost(book, "big-1", date(2026, 7, 1), input_tokens=1000) == Decimal("0.005")


@pytest.mark.parametrize("model", ["bi", "big-", "big-2", "BIG", "big-1-preview", "openai/big", ""])
def test_names_match_exactly_or_not_at_all(book: PriceBook, model: str) -> None:
    assert cost(book, model, input_tokens=1) is None


def test_the_answering_model_goes_before_the_configured_one(book: PriceBook) -> None:
    usage = Usage(input_tokens=1000, output_tokens=0)
    assert book.cost("openai", "embed", "big", DAY, usage) == Decimal("0.00002")
    assert book.cost("openai", "unheard-of", "big", DAY, usage) == Decimal("0.005")
    assert book.cost("openai", None, "big", DAY, usage) == Decimal("0.005")


def test_a_provider_has_its_own_prices(book: PriceBook) -> None:
    assert book.cost("azure", "big", "big", DAY, Usage(input_tokens=1, output_tokens=1)) is None
    assert book.cost(None, "big", "big", DAY, Usage(input_tokens=1, output_tokens=1)) is None


@pytest.mark.parametrize("tier", [None, "", "default", "standard"])
def test_ordinary_tiers_have_the_base_price(book: PriceBook, tier: str | None) -> None:
    assert cost(book, tier=tier, input_tokens=100) == Decimal("0.0005")


def test_a_listed_tier_has_its_price_and_an_unlisted_one_has_none(book: PriceBook) -> None:
    assert cost(book, tier="batch", input_tokens=100, cached_input_tokens=100) == Decimal("0.00025")
    usage = Usage(input_tokens=100, output_tokens=0)
    assert book.rate("openai", "big", None, DAY, usage, "priority").unpriced is Unpriced.NO_TIER_PRICE


def test_above_its_bound_a_long_prompt_changes_the_price_of_every_token(book: PriceBook) -> None:
    assert cost(book, input_tokens=1000, output_tokens=1) == Decimal("0.005015")
    assert cost(book, input_tokens=1001, output_tokens=1) == Decimal("0.01003")
    usage = Usage(input_tokens=1001, output_tokens=1)
    assert book.rate("openai", "big", None, DAY, usage, "batch").unpriced is Unpriced.NO_LONG_CONTEXT_PRICE


def test_audio_costs_what_audio_costs_or_is_unpriced(book: PriceBook) -> None:
    tokens = {"input_tokens": 10, "input_audio_tokens": 4, "output_tokens": 10, "output_audio_tokens": 5}
    assert cost(book, "voice", **tokens) == Decimal("0.000576")  # 6*1 + 4*40 + 5*2 + 5*80
    assert cost(book, "big", **tokens) is None
    assert cost(book, "big", input_tokens=10, input_audio_tokens=0) is not None


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_unknown_tokens_are_not_free(book: PriceBook, usage: Usage) -> None:
    assert book.rate("openai", "big", None, DAY, usage).unpriced is Unpriced.UNKNOWN_TOKENS


def test_an_embedding_has_no_output_to_know(book: PriceBook) -> None:
    for output in (None, 0):
        assert book.cost(
            "openai", "embed", None, DAY, Usage(input_tokens=50, output_tokens=output)
        ) == Decimal("0.000001")
    assert book.cost("openai", "embed", None, DAY, Usage(input_tokens=50, output_tokens=1)) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10, cached_input_tokens=11, output_tokens=1),
        Usage(input_tokens=10, cached_input_tokens=6, cache_write_tokens=6, output_tokens=1),
        Usage(input_tokens=10, output_tokens=1, reasoning_tokens=2),
        Usage(input_tokens=-1, output_tokens=1),
    ],
)
def test_counts_that_contradict_each_other_are_unpriced(book: PriceBook, usage: Usage) -> None:
    assert book.rate("openai", "big", None, DAY, usage).unpriced is Unpriced.CONTRADICTORY_TOKENS


def test_what_the_provider_states_wins(book: PriceBook) -> None:
    usage = Usage(input_tokens=1000, output_tokens=1000)
    assert book.cost(None, None, None, DAY, Usage(), provider_cost_usd="0.0125") == Decimal("0.0125")
    assert book.cost("openai", "big", None, DAY, usage, provider_cost_usd="0") == 0


@pytest.mark.parametrize("stated", ["", "abc", "NaN", "-1", "1e999999", "1,5", "0x1", "9" * 16])
def test_a_stated_cost_that_is_no_decimal_is_unpriced(book: PriceBook, stated: str) -> None:
    rating = book.rate("openai", "big", None, DAY, Usage(1, 0, 0, 1), provider_cost_usd=stated)
    assert rating.unpriced is Unpriced.UNREADABLE_COST


def test_money_is_written_exactly() -> None:
    written = {
        "5": "5.00",
        "0.0125000": "0.0125",
        "1E+3": "1000.00",
        "0.000000075": "0.000000075",
        "0": "0.00",
    }
    assert {amount: format_usd(Decimal(amount)) for amount in written} == written


amounts = st.decimals(0, 200, places=4)
counts = st.integers(0, 10**9)


@st.composite
def calls(draw: st.DrawFn) -> Usage:
    cached, written, audio_in, plain = draw(counts), draw(counts), draw(counts), draw(counts)
    text_out, audio_out = draw(counts), draw(counts)
    total_out = text_out + audio_out
    return Usage(
        cached + written + audio_in + plain,
        cached,
        written,
        total_out,
        draw(st.integers(0, total_out)),
        audio_in,
        audio_out,
    )


@st.composite
def rate_cards(draw: st.DrawFn) -> Rates:
    optional = st.none() | amounts
    return Rates(draw(amounts), draw(amounts), draw(optional), draw(optional), draw(amounts), draw(amounts))


def by_hand(rates: Rates, usage: Usage) -> Fraction:
    """The formula again, in fractions, term by term as the price list of a provider reads."""
    cached_rate = rates.input if rates.cached_input is None else rates.cached_input
    write_rate = rates.input if rates.cache_write is None else rates.cache_write
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    heard, spoken = usage.input_audio_tokens or 0, usage.output_audio_tokens or 0
    per_million = Fraction(0)
    per_million += ((usage.input_tokens or 0) - cached - written - heard) * Fraction(rates.input)
    per_million += cached * Fraction(cached_rate) + written * Fraction(write_rate)
    per_million += heard * Fraction(rates.input_audio or 0) + spoken * Fraction(rates.output_audio or 0)
    per_million += ((usage.output_tokens or 0) - spoken) * Fraction(rates.output or 0)
    return per_million / 1_000_000


@given(rate_cards(), calls())
def test_the_cost_is_the_formula_to_the_last_digit(rates: Rates, usage: Usage) -> None:
    book = PriceBook([Price("p", "m", DAY, rates)])
    computed = book.cost("p", "m", None, DAY, usage)
    assert computed is not None
    assert Fraction(computed) == by_hand(rates, usage)


@given(rate_cards(), rate_cards(), st.lists(calls(), min_size=1, max_size=8), st.integers(1, 10**9))
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(
    short: Rates, long: Rates, usages: list[Usage], bound: int
) -> None:
    book = PriceBook([Price("p", "m", DAY, short, long_context=LongContext(bound, long))])
    for above in (False, True):
        side = [usage for usage in usages if ((usage.input_tokens or 0) > bound) == above]
        if side:
            summed = Usage(
                *(sum(getattr(usage, name) for usage in side) for name in Usage.__dataclass_fields__)
            )
            longest = max(usage.input_tokens or 0 for usage in side)
            together = book.rate("p", "m", None, DAY, summed, longest_input=longest).cost
            one_by_one = [book.cost("p", "m", None, DAY, usage) for usage in side]
            assert together is not None
            assert Fraction(together) == sum(Fraction(c) for c in one_by_one if c is not None)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6, unique=True), st.integers(-5, 1005))
def test_on_every_day_the_last_price_to_begin_applies(starts: list[int], day: int) -> None:
    first = date(2024, 1, 1)
    prices = [Price("p", "m", first + timedelta(s), Rates(Decimal(s), Decimal(0))) for s in starts]
    found = PriceBook(prices).find("p", "m", first + timedelta(day))
    begun = [s for s in starts if s <= day]
    assert (found.rates.input if found else None) == (Decimal(max(begun)) if begun else None)
