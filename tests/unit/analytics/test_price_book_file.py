"""A price book file that is wrong says where, what and how to put it right; the shipped one is right."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gateway_contracts.price_book import PriceBook, PriceBookError, Usage

GOOD = """schema_version: 1
prices:
  - provider: openai
    model: m
    valid_from: 2025-01-01
    usd_per_million: {input: "1.00", output: "2.00"}
"""
SECOND = """  - provider: openai
    model: n
    aliases: [m]
    valid_from: 2025-01-01
    usd_per_million: {input: "1.00", output: "2.00"}
"""


def load(tmp_path: Path, text: str | bytes) -> PriceBook:
    path = tmp_path / "book.yml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return PriceBook.load(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("model:", "modle:"), ["line 4", "entry 1", "'modle'", "Did you mean 'model'?"]),
        (
            GOOD.replace("output:", "ouput:"),
            ["entry 1 (m)", "usd_per_million", "'ouput'", "Did you mean 'output'?"],
        ),
        (GOOD.replace("prices:", "price:"), ["'price'", "Did you mean 'prices'?"]),
        (GOOD.replace('"1.00"', "1.00"), ["line 6", "usd_per_million.input", "in quotes", '"1.00"']),
        (GOOD.replace('"1.00"', "1"), ["in quotes", '"1"']),
        (GOOD.replace('"1.00"', '"-1.00"'), ["usd_per_million.input", "0 or more", "'-1.00'"]),
        (GOOD.replace('"1.00"', '"1,00"'), ["usd_per_million.input", '"2.50"']),
        (GOOD.replace('"1.00"', '"NaN"'), ["usd_per_million.input"]),
        (GOOD.replace('"1.00"', "null"), ["usd_per_million.input", "None"]),
        (GOOD.replace('input: "1.00", ', ""), ["usd_per_million", "lacks 'input'"]),
        (GOOD.replace("    valid_from: 2025-01-01\n", ""), ["entry 1 (m)", "lacks 'valid_from'"]),
        (GOOD.replace("2025-01-01", "2025-13-01"), ["line 5", "'2025-13-01'", "Correct it"]),
        (GOOD.replace("2025-01-01", "2025-01-01 10:00:00"), ["valid_from", "2024-05-13"]),
        (GOOD.replace("provider: openai", "provider: 7"), ["provider", "7"]),
        (GOOD.replace("provider: openai", "provider: ' openai'"), ["provider", "blanks"]),
        (GOOD + SECOND, ["entry 2 (n)", "openai m from 2025-01-01", "entry 1", "Remove one"]),
        (GOOD.replace("model: m\n", "model: m\n    aliases: [m]\n"), ["already priced by itself"]),
        (GOOD.replace("model: m\n", "model: m\n    model: k\n"), ["'model' twice"]),
        (GOOD.replace("model: m\n", "model: m\n    aliases: k\n"), ["aliases must be a list"]),
        (GOOD.replace("schema_version: 1", "schema_version: 2"), ["schema_version 2", "reads 1"]),
        (
            GOOD + "    service_tiers: {batch: {inptu: '1.00'}}\n",
            ["service_tiers.batch", "Did you mean 'input'?"],
        ),
        (GOOD + "    long_context: {above: 5, input: '1.00'}\n", ["long_context", "'above'"]),
        (
            GOOD + "    long_context: {above_input_tokens: many, input: '1.00'}\n",
            ["above_input_tokens", "272000"],
        ),
        ("", ["is empty"]),
        ("[]", ["must be a mapping"]),
        ("prices: {", ["no valid YAML", "line "]),
        (b"\xff\xfe\x00", ["UTF-8"]),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, text: str | bytes, said: list[str]) -> None:
    with pytest.raises(PriceBookError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "book.yml" in message
    assert [part for part in said if part not in message] == []
    assert "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceBookError, match=r"nothing\.yml: cannot be read: No such file"):
        PriceBook.load(tmp_path / "nothing.yml")


def test_the_same_price_learned_later_corrects_the_earlier_one(tmp_path: Path) -> None:
    corrected = (
        GOOD
        + GOOD.partition("prices:\n")[2].replace('"1.00"', '"3.00"').rstrip()
        + "\n    learned_at: 2025-02-01\n"
    )
    price = load(tmp_path, corrected).find("openai", "m", date(2025, 1, 5))
    assert price is not None
    assert price.rates.input == Decimal("3.00")


MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


@pytest.mark.parametrize(
    ("provider", "model", "day", "dollars"),
    [
        ("openai", "gpt-3.5-turbo", "2023-07-01", "3.50"),
        ("openai", "gpt-3.5-turbo", "2024-03-01", "2.00"),
        ("openai", "gpt-4", "2024-01-01", "90.00"),
        ("openai", "gpt-4-turbo", "2024-05-01", "40.00"),
        ("openai", "gpt-4o", "2024-05-13", "20.00"),
        ("openai", "gpt-4o", "2024-10-01", "20.00"),
        ("openai", "gpt-4o", "2024-10-02", "12.50"),
        ("openai", "gpt-4o-2024-05-13", "2026-11-01", "20.00"),
        ("openai", "gpt-4o-2024-08-06", "2024-08-06", "12.50"),
        ("azure", "gpt-4o", "2026-11-01", "12.50"),
        ("openai", "gpt-4o-mini", "2026-11-01", "0.75"),
        ("azure", "gpt-35-turbo", "2026-11-01", "2.00"),
        ("openai", "o3", "2025-05-01", "50.00"),
        ("openai", "o3", "2025-07-01", "10.00"),
        ("openai", "text-embedding-3-large", "2026-11-01", None),
        ("anthropic", "claude-opus-4-5", "2026-11-01", "30.00"),
        ("anthropic", "claude-3-5-sonnet-20241022", "2024-12-01", "18.00"),
    ],
)
def test_shipped_prices_are_list_prices_of_their_day(
    provider: str, model: str, day: str, dollars: str | None
) -> None:
    book = PriceBook.load()
    when = date.fromisoformat(day)
    assert book.cost(provider, model, None, when, MILLION) == (Decimal(dollars) if dollars else None)


def test_the_shipped_book_prices_embeddings_and_claude_caches() -> None:
    book, when = PriceBook.load(), date(2026, 11, 1)
    assert book.cost(
        "openai", "text-embedding-3-small", None, when, Usage(input_tokens=1_000_000)
    ) == Decimal("0.02")
    cached = Usage(1_000_000, 400_000, 500_000, 0)
    assert book.cost("anthropic", "claude-haiku-4-5", None, when, cached) == Decimal(
        "0.765"
    )  # .1*1 + .4*.1 + .5*1.25
    long = Usage(input_tokens=100_001, output_tokens=0)
    assert book.cost("anthropic", "claude-haiku-5-5", None, when, long) == Decimal("0.0500005")
