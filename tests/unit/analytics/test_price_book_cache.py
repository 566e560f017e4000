"""The shipped book is read fast, and never as it was."""

import sys
from pathlib import Path

import pytest

from gateway_contracts import price_book
from gateway_contracts.price_book import PriceBook

BOOK = """schema_version: 1
prices:
  - {provider: openai, model: gpt-4o, valid_from: 2024-05-13, usd_per_million: {input: "5.00"}}
"""


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "prices.yml"
    path.write_text(BOOK)
    monkeypatch.setattr(price_book, "SHIPPED", path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    return path


def kept(shipped: Path) -> Path:
    (path,) = (shipped.parent / "__pycache__").iterdir()
    return path


def test_what_is_kept_is_what_is_written(shipped: Path) -> None:
    assert [PriceBook.load().prices for _ in range(2)] == [PriceBook.load(shipped).prices] * 2
    assert kept(shipped).stat().st_mode & 0o777 == 0o644


def test_a_changed_book_counts_at_once(shipped: Path) -> None:
    PriceBook.load()
    shipped.write_text(BOOK.replace("5.00", "7.25"))
    assert str(PriceBook.load().prices[0].rates.input) == "7.25"


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04N."])
def test_a_damaged_copy_is_replaced(shipped: Path, content: bytes) -> None:
    expected = PriceBook.load().prices
    kept(shipped).write_bytes(content)
    assert PriceBook.load().prices == expected
    assert len(kept(shipped).read_bytes()) > 100


def test_a_place_that_cannot_be_written_is_no_obstacle(shipped: Path) -> None:
    (shipped.parent / "__pycache__").write_text("a file")
    assert len(PriceBook.load().prices) == 1
