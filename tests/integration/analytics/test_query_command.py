"""`gateway-analytics query`: exact costs per call, and nothing that changes or reads anything else."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.analytics_store import FAILED, Store, access_record, ask, record, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("query") / str(n) for n in range(10_000))


def call(n: int, draw: st.DrawFn) -> dict[str, Any]:
    tokens = st.sampled_from([None, 0, 3, 100_001, 272_001, 10**9 + 7])
    names = (
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "input_audio_tokens",
    )
    fields: dict[str, Any] = {name: draw(tokens) for name in names}
    fields["response_model"] = draw(
        st.sampled_from(["gpt-4o", "gpt-5.4", "gpt-4o-audio-preview", "home-made", None])
    )
    fields["service_tier"] = draw(st.sampled_from([None, "batch", "unheard-of"]))
    fields["provider_cost_usd"] = draw(st.sampled_from([None, None, "0.000000000000000001", "?"]))
    fields["received_at"] = (
        draw(st.sampled_from(["2024-10-01", "2024-10-02", "2026-11-02"])) + "T00:00:00.000000Z"
    )
    fields["usage_source"] = draw(st.sampled_from(["provider", "partial", None]))
    return record(n, **fields | (FAILED if draw(st.integers(0, 5)) == 0 else {}))


@st.composite
def many(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [call(n, draw) for n in range(1, draw(st.integers(1, 25)) + 1)]


@settings(max_examples=8, deadline=None)
@given(records=many())
def test_the_costs_of_single_calls_are_those_of_the_total(
    numbered: Iterator[Path], records: list[dict[str, Any]]
) -> None:
    store = Store(next(numbered))
    store.append(records)
    total = ask(store, "costs")["totals"]
    (row,) = ask(
        store,
        "query",
        "SELECT coalesce(sum(cost_usd), 0) AS cost, count(unpriced) AS unpriced, count(*) AS calls,"
        " coalesce(sum(cost_usd) FILTER (evidence = 'partial'), 0) AS partial FROM costs",
    )["rows"]
    assert Decimal(row["cost"]) == Decimal(total["cost_usd"] or 0)
    assert row["unpriced"] == total["unpriced_requests"]
    assert Decimal(row["partial"]) == Decimal(total["partial_usd"] or 0)
    assert row["calls"] == len(records)


def test_the_three_views_join(store: Store) -> None:
    store.append([record(1), record(2)])
    store.append_access([access_record("request-0001", duration_ms=250.0)])
    statement = (
        "SELECT r.request_id, a.duration_ms, c.cost_usd FROM requests r"
        " JOIN access a USING (request_id) JOIN costs c USING (request_id)"
    )
    assert ask(store, "query", statement)["rows"] == [
        {"request_id": "request-0001", "duration_ms": 250.0, "cost_usd": "0.0035"}
    ]


def test_filters_and_range_hold(store: Store) -> None:
    store.append(
        [record(1), record(2, endpoint="other"), record(3, received_at="2026-11-05T00:00:00.000000Z")]
    )
    (row,) = ask(
        store, "query", "SELECT count(*) AS n FROM requests", "--endpoint", "chat", "--until", "2026-11-04"
    )["rows"]
    assert row == {"n": 1}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM records", "one SELECT"),
        ("COPY (SELECT 1) TO '{path}/new.csv'", "one SELECT"),
        ("CREATE TABLE x AS SELECT 1", "one SELECT"),
        ("SET threads = 1", "one SELECT"),
        ("ATTACH '{path}/new.db'", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("", "one SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission"),
        ("SELECT * FROM '/etc/hostname'", "cannot be answered"),
        ("SELECT nonsense FROM requests", "nonsense"),
        ("SELECT 1 FROM", "syntax error"),
    ],
)
def test_what_is_no_question_is_refused_and_changes_nothing(store: Store, statement: str, said: str) -> None:
    store.append([record(1)])
    before = sorted(path.name for path in store.path.rglob("*"))
    result = run(store, "query", statement.replace("{path}", str(store.path)))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert sorted(path.name for path in store.path.rglob("*")) == before


def test_moments_are_in_the_users_zone_and_rows_stay_in_order(store: Store) -> None:
    store.append([record(n, received_at=f"2026-11-02T10:00:{n:02}.000000Z") for n in (1, 3, 2)])
    statement = "SELECT received_at, 1 AS n FROM requests ORDER BY received_at DESC -- newest first"
    rows = ask(store, "query", statement, "--tz", "Europe/Berlin")["rows"]
    assert [row["received_at"] for row in rows] == [f"2026-11-02T11:00:0{n}.000000+01:00" for n in (3, 2, 1)]


def test_an_order_that_cannot_be_is_refused_before_the_query_runs(store: Store) -> None:
    store.append([record(1)])
    statement = "SELECT error('it ran'), received_at FROM requests"
    refused = run(store, "query", statement, "--sort", "prise")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "there is no column 'prise'" in refused.stderr
    assert "it ran" in run(store, "query", statement, "--sort", "received_at").stderr


def test_values_of_every_type_are_written(store: Store) -> None:
    store.append([record(1)])
    statement = (
        "SELECT 1.5::DOUBLE d, true b, DATE '2026-11-01' AS day, ['a', 'b'] l, {'k': 1} s, NULL n,"
        " 'x'::BLOB o"
    )
    (row,) = ask(store, "query", statement)["rows"]
    assert row == {
        "d": 1.5,
        "b": True,
        "day": "2026-11-01",
        "l": ["a", "b"],
        "s": "{'k': 1}",
        "n": None,
        "o": "b'x'",
    }


def test_a_question_leaves_the_machine_memory(store: Store) -> None:
    store.append([record(1)])
    [row] = ask(store, "query", "SELECT current_setting('memory_limit') AS memory")["rows"]
    number, unit = row["memory"].split()
    assert float(number) * {"MiB": 2**20, "GiB": 2**30}[unit] <= 1_500_000_000
