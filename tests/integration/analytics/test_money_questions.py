"""Who spent it, what was wasted, and what it would have cost otherwise."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_contracts.price_book import SHIPPED
from support.analytics_store import FAILED, Store, ask, record, rows_by, run

MILLION = {"input_tokens": 10**6, "output_tokens": 0}
BOOK = """schema_version: 1
prices:
  - provider: openai
    model: gpt-4o-2024-08-06
    valid_from: 2024-01-01
    usd_per_million: {input: "2.00", output: "9"}
  - provider: openai
    model: home-made
    valid_from: 2024-01-01
    usd_per_million: {input: "1.00", output: "1"}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("money") / str(n) for n in range(10_000))


def dollars(rows: list[dict[str, Any]], name: str = "cost_usd") -> Decimal:
    """The sum of a column."""
    return sum((Decimal(row[name] or 0) for row in rows), Decimal(0))


def test_rerate_shows_the_difference_before_anything_changes(store: Store, tmp_path: Path) -> None:
    store.append(
        [
            record(1, **MILLION, api_key_id="a"),
            record(2, **MILLION, api_key_id="b", request_model="home-made", response_model=None),
            record(3, **MILLION, provider="anthropic", response_model="claude-opus-5", api_key_id="a"),
        ]
    )
    book = tmp_path / "new.yml"
    book.write_text(BOOK)
    answer = ask(store, "rerate", "--prices", str(book))
    rows = rows_by(answer, "day", "model", "api_key")
    assert {
        key: (row["cost_before_usd"], row["cost_after_usd"], row["difference_usd"])
        for key, row in rows.items()
    } == {
        ("2026-11-02", "gpt-4o-2024-08-06", "a"): ("2.50", "2.00", "-0.50"),
        ("2026-11-02", "home-made", "b"): (None, "1.00", "1.00"),
        ("2026-11-02", "claude-opus-5", "a"): ("5.00", None, "-5.00"),
    }
    assert answer["totals"]["difference_usd"] == "-4.50"
    assert (answer["totals"]["unpriced_before"], answer["totals"]["unpriced_after"]) == (1, 1)
    assert ask(store, "costs")["totals"]["cost_usd"] == "7.50"


def test_rerate_as_of_shows_what_was_learned_since(store: Store, tmp_path: Path) -> None:
    store.append([record(1, **MILLION), record(2, **MILLION, request_model="home-made", response_model=None)])
    book = tmp_path / "book.yml"
    book.write_text(BOOK.replace("home-made\n", "home-made\n    learned_at: 2026-11-20\n"))
    (row,) = ask(store, "rerate", "--prices", str(book), "--as-of", "2026-11-10", "--by", "model")["rows"]
    assert (row["model"], row["cost_before_usd"], row["cost_after_usd"]) == ("home-made", None, "1.00")


def test_rerate_needs_something_to_compare(store: Store) -> None:
    result = run(store, "rerate")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--prices NEW.yml" in result.stderr


@st.composite
def some(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few calls of several kinds and outcomes."""
    records = []
    for n in range(1, draw(st.integers(1, 20)) + 1):
        fields: dict[str, Any] = {
            "api_key_id": draw(st.sampled_from([None, "a", "b"])),
            "received_at": f"2026-10-{draw(st.integers(24, 26))}T{draw(st.integers(0, 23)):02}:30:00.000000Z",
            "final": draw(st.booleans()),
            "end_user": draw(st.sampled_from([None, "prober"])),
            "finish_reason": draw(st.sampled_from(["stop", "length", None])),
            "service_tier": draw(st.sampled_from([None, "batch"])),
            "provider_cost_usd": draw(st.sampled_from([None, None, "0.123456789"])),
            "response_model": draw(st.sampled_from(["gpt-4o-2024-08-06", "gpt-6-sol", "home-made", None])),
            "input_tokens": draw(st.sampled_from([0, 7, 272_001, 10**9 + 7, None])),
            "output_tokens": draw(st.sampled_from([0, 3, 999_983])),
        }
        failed = draw(
            st.sampled_from([{}, {}, FAILED, {"http_status": 499, "error_class": "client_disconnect"}])
        )
        records.append(record(n, **fields | failed))
    return records


@settings(max_examples=8, deadline=None)
@given(records=some())
def test_rerating_with_the_same_book_is_the_identity(
    numbered: Iterator[Path], records: list[dict[str, Any]]
) -> None:
    store = Store(next(numbered))
    store.append(records)
    answer = ask(store, "rerate", "--prices", str(SHIPPED), "--all")
    costs = ask(store, "costs", "--by", "day", "--by", "model", "--by", "api_key")
    assert answer["totals"]["difference_usd"] == "0.00"
    assert len(answer["rows"]) == len(costs["rows"])
    before = rows_by(answer, "day", "model", "api_key")
    for key, row in rows_by(costs, "day", "model", "api_key").items():
        assert before[key]["cost_before_usd"] == before[key]["cost_after_usd"] == row["cost_usd"]
    assert ask(store, "rerate", "--prices", str(SHIPPED))["rows"] == []


@settings(max_examples=8, deadline=None)
@given(records=some(), by=st.sampled_from([[], ["day"], ["model", "api_key"]]))
def test_waste_and_answers_together_are_the_whole_cost(
    numbered: Iterator[Path], records: list[dict[str, Any]], by: list[str]
) -> None:
    store = Store(next(numbered))
    store.append(records)
    answer = ask(store, "waste", *(part for name in by for part in ("--by", name)), "--tz", "Europe/Berlin")
    costs = ask(store, "costs")["totals"]
    assert dollars(answer["rows"]) == Decimal(costs["cost_usd"] or 0)
    assert sum(row["attempts"] for row in answer["rows"]) == len(records)
    wasted = [row for row in answer["rows"] if row["spent_on"] != "answers"]
    assert dollars(wasted) == Decimal(answer["totals"]["wasted_usd"] or 0)


def test_waste_tells_its_kinds_apart(store: Store) -> None:
    store.append(
        [
            record(1, **MILLION),
            record(2, **MILLION, final=False, http_status=504, error_class="timeout"),
            record(3, **MILLION, http_status=499, error_class="client_disconnect", usage_source="partial"),
            record(4, **MILLION, http_status=500, error_class="gateway"),
            record(5, **MILLION, finish_reason="length"),
            record(6, **MILLION, end_user="prober", finish_reason="length"),
        ]
    )
    rows = rows_by(ask(store, "waste", "--probe-user", "prober"), "spent_on")
    assert {name: row["cost_usd"] for name, row in rows.items()} == dict.fromkeys(
        ("probes", "failed attempts", "callers who left", "failed calls", "truncated answers", "answers"),
        "2.50",
    )
    assert "$12.50 of $15.00 did not go to answers." in run(store, "waste").stderr


def test_what_another_model_would_have_cost(store: Store) -> None:
    store.append(
        [
            record(1, **MILLION),
            record(2, **MILLION, provider_cost_usd="7"),
            record(3, **FAILED),
            record(4, **MILLION, response_model="gpt-6-sol"),
        ]
    )
    answer = ask(
        store, "whatif", "--map", "gpt-4o-2024-08-06=anthropic:claude-haiku-5-5", "--since", "2026-11-01"
    )
    rows = rows_by(answer, "model")
    # A million input tokens is a long prompt there: 0.50 instead of 0.10.
    assert (rows["gpt-4o-2024-08-06"]["cost_before_usd"], rows["gpt-4o-2024-08-06"]["cost_after_usd"]) == (
        "9.50",
        "1.00",
    )
    assert rows["gpt-6-sol"]["difference_usd"] == "0.00"
    assert answer["totals"]["difference_usd"] == "-8.50"


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("gpt-4o", "gpt-4o=gpt-4o-mini"),
        ("gpt-4o=gpt-4o-mni", "Did you mean 'gpt-4o-mini'?"),
        ("a=openai:b", "'b'"),
    ],
)
def test_a_model_that_cannot_be_mapped_is_named(store: Store, mapping: str, said: str) -> None:
    result = run(store, "whatif", "--map", mapping)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_key_that_moves_takes_none_of_its_past_with_it(store: Store, tmp_path: Path) -> None:
    owners = tmp_path / "owners.yml"
    owners.write_text(
        "schema_version: 1\nowners:\n"
        "  - {api_key: a, owner: ann, team: search}\n"
        "  - {api_key: a, owner: bob, team: ads, valid_from: 2026-11-01}\n"
        "  - {api_key: b, owner: bob, team: ads, valid_from: 2026-11-01}\n"
    )
    # Midnight in Berlin is an hour before that in UTC.
    times = {"2026-10-31T22:59:59.999999Z": "ann", "2026-10-31T23:00:00.000000Z": "bob"}
    store.append([record(n, **MILLION, api_key_id="a", received_at=t) for n, t in enumerate(times, 1)])
    store.append(
        [
            record(3, **MILLION, api_key_id="b", received_at="2026-10-31T22:00:00.000000Z"),
            record(4, **MILLION),
            record(5, **MILLION, api_key_id="unheard-of"),
        ]
    )
    where = ["--owners", str(owners), "--tz", "Europe/Berlin"]
    rows = rows_by(
        ask(store, "keys", *where, "--by", "month", "--by", "owner", "--by", "team"), "month", "owner"
    )
    assert {key: row["requests"] for key, row in rows.items()} == {
        ("2026-10", "ann"): 1,
        ("2026-10", None): 1,
        ("2026-11", "bob"): 1,
        ("2026-11", None): 2,
    }
    answer = ask(store, "keys", *where)
    assert dollars(answer["rows"]) == Decimal(answer["totals"]["cost_usd"]) == Decimal("12.50")
    assert "nobody" in run(store, "keys", *where).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("owners: []", "schema_version: 1"),
        ("schema_version: 1\nowner: []", "Did you mean 'owners'?"),
        ("schema_version: 1\nowners:\n  - {api_key: a, ownr: b}", "Did you mean 'owner'?"),
        ("schema_version: 1\nowners:\n  - {api_key: a}", "entry 1 lacks 'owner'"),
        ("schema_version: 1\nowners:\n  - {api_key: 7, owner: b}", "entry 1: api_key must be text"),
        ("schema_version: 1\nowners:\n  - {api_key: a, owner: b, valid_from: soon}", "a date such as"),
        ("schema_version: 1\nowners:\n  - {api_key: a, owner: b}\n  - {api_key: a, owner: c}", "two owners"),
        ("schema_version: 1\nowners: [", "no valid YAML"),
    ],
)
def test_a_file_of_owners_that_is_wrong_says_where(
    store: Store, tmp_path: Path, text: str, said: str
) -> None:
    owners = tmp_path / "owners.yml"
    owners.write_text(text)
    result = run(store, "keys", "--owners", str(owners))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_an_owner_is_asked_for_only_with_a_file_of_owners(store: Store) -> None:
    result = run(store, "costs", "--by", "owner")
    assert result.exit_code == 2
    assert "--owners FILE" in result.stderr


@pytest.mark.parametrize(
    "command", [["keys"], ["waste"], ["rerate", "--as-of", "2026-11-01"], ["errors"], ["latency"]]
)
def test_an_empty_store_is_an_answer(store: Store, command: list[str]) -> None:
    result = run(store, *command, "--format", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"] == []
