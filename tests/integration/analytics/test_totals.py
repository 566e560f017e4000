"""Totals are the sums of their parts, to the last digit, however one groups and in every format."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_analytics.grouping import DIMENSIONS, OWNED
from gateway_contracts.price_book import NEVER_BILLED, PriceBook, Usage
from support.analytics_store import Store, ask, run
from support.generated_records import many

COUNTS = ("requests", "successful_requests", "failed_requests", "unpriced_requests")
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")


def by_hand(records: list[dict[str, Any]]) -> tuple[Decimal, int]:
    """Cost and unpriced records, one record at a time."""
    book, cost, unpriced = PriceBook.load(), Decimal(0), 0
    for one in records:
        usage = Usage(**{name: one.get(name) for name in Usage.__dataclass_fields__})
        if (
            one["http_status"] >= 400
            and not one.get("provider_cost_usd")
            and one["error_class"] in NEVER_BILLED
        ):
            continue
        found = book.cost(
            one["provider"],
            one["response_model"],
            one["request_model"],
            date.fromisoformat(one["received_at"][:10]),
            usage,
            one.get("service_tier"),
            one.get("provider_cost_usd"),
        )
        cost, unpriced = (cost, unpriced + 1) if found is None else (cost + found, unpriced)
    return cost, unpriced


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("totals") / str(n) for n in range(10_000))


@settings(max_examples=20, deadline=None)
@given(
    records=many(),
    by=st.lists(st.sampled_from(sorted(set(DIMENSIONS) - OWNED)), min_size=1, max_size=3, unique=True),
    data=st.data(),
)
def test_costs_add_up(
    numbered: Iterator[Path], records: list[dict[str, Any]], by: list[str], data: st.DataObject
) -> None:
    store = Store(next(numbered))
    cut = data.draw(st.integers(0, len(records)))
    store.compact(records[:cut])
    store.append(records[max(0, cut - 2) :])
    answer = ask(store, "costs", *(part for name in by for part in ("--by", name)))
    rows, totals = answer["rows"], answer["totals"]
    for name in COUNTS:
        assert sum(row[name] for row in rows) == totals[name]
    for name in TOKENS:
        assert sum(row[name] or 0 for row in rows) == (totals[name] or 0)
    assert sum(Decimal(row["cost_usd"] or 0) for row in rows) == Decimal(totals["cost_usd"] or 0)
    assert all(row["cost_usd"] is not None or row["unpriced_requests"] for row in rows)
    assert len({tuple(row[name] for name in by) for row in rows}) == len(rows)
    assert (Decimal(totals["cost_usd"] or 0), totals["unpriced_requests"]) == by_hand(records)


@settings(max_examples=12, deadline=None)
@given(
    records=many(),
    command=st.sampled_from(
        ["costs", "requests", "keys", "waste", "latency", "rerate --as-of 2025-01-01 --all"]
    ),
)
def test_json_lines_and_csv_say_what_json_says(
    numbered: Iterator[Path], records: list[dict[str, Any]], command: str
) -> None:
    store = Store(next(numbered))
    store.append(records)
    by = ["--by", "api_key", "--by", "model"]
    words = command.split()
    rows = ask(store, *words, *by)["rows"]
    lines = run(store, *words, *by, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(run(store, *words, *by, "--format", "csv").stdout)))
    assert [list(row) for row in table] == [list(row) for row in rows]
    assert [list(row.values()) for row in table] == [
        ["" if value is None else str(value) for value in row.values()] for row in rows
    ]
