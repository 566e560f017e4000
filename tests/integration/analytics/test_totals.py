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
from support.analytics_store import FAILED, Store, ask, record, run

COUNTS = ("requests", "successful_requests", "failed_requests", "unpriced_requests")
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o", None),
    ("openai", "gpt-5.4", "gpt-5.4-2026-03-05"),
    ("anthropic", "claude-haiku-5-5", "claude-haiku-5-5"),
    ("openai", "text-embedding-3-small", "text-embedding-3-small"),
    ("openai", "gpt-4o-audio-preview", "gpt-4o-audio-preview"),
    ("openai", "home-made", "home-made"),
    ("azure", "gpt-4o", "gpt-4o"),
    (None, None, None),
)


@st.composite
def generated(draw: st.DrawFn, sequence: int) -> dict[str, Any]:
    provider, configured, answered = draw(st.sampled_from(MODELS))
    day = draw(st.sampled_from(["2024-09-30", "2024-10-02", "2026-03-29", "2026-10-25", "2026-11-20"]))
    fields: dict[str, Any] = {
        "received_at": f"{day}T{draw(st.integers(0, 23)):02}:59:59.{draw(st.integers(0, 999_999)):06}Z",
        "provider": provider,
        "request_model": configured,
        "response_model": answered,
        "service_tier": draw(st.sampled_from([None, "default", "batch", "flex", "unheard-of"])),
        "host": draw(st.sampled_from(["h1", "h2"])),
        "api_key_id": draw(st.sampled_from([None, "a", "b"])),
        "end_user": draw(st.sampled_from([None, "ann", "=bob"])),
        "final": draw(st.booleans()),
        "provider_cost_usd": draw(st.sampled_from([None, None, None, "0.000000000000000001", "12.5", "?"])),
    }
    if draw(st.integers(0, 4)) == 0:
        return record(sequence, **fields | FAILED)
    tokens = st.none() | st.sampled_from([0, 1, 7, 99_999, 100_000, 100_001, 272_001, 10**9 + 7])
    names = (*TOKENS, "cache_write_tokens", "reasoning_tokens", "input_audio_tokens", "output_audio_tokens")
    return record(sequence, **fields, **{name: draw(tokens) for name in names})


@st.composite
def many(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [draw(generated(n)) for n in range(1, draw(st.integers(1, 30)) + 1)]


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


@settings(max_examples=10, deadline=None)
@given(records=many(), command=st.sampled_from(["costs", "requests", "keys", "waste", "latency"]))
def test_json_lines_and_csv_say_what_json_says(
    numbered: Iterator[Path], records: list[dict[str, Any]], command: str
) -> None:
    store = Store(next(numbered))
    store.append(records)
    by = ["--by", "api_key", "--by", "model"]
    rows = ask(store, command, *by)["rows"]
    lines = run(store, command, *by, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = list(csv.DictReader(io.StringIO(run(store, command, *by, "--format", "csv").stdout)))
    assert [list(row) for row in table] == [list(row) for row in rows]
    assert [list(row.values()) for row in table] == [
        ["" if value is None else str(value) for value in row.values()] for row in rows
    ]
