"""What is kept per day answers as the records do, and never for records it was not made from."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_analytics import totals
from gateway_analytics.grouping import DIMENSIONS
from gateway_analytics.totals_run import refresh
from gateway_contracts.price_book import PriceBook
from support.analytics_store import Store, access_record, ask, record, run
from support.generated_records import many

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata")
FILTERS = (
    (),
    ("--model", "gpt-4o"),
    ("--provider", "azure"),
    ("--api-key", "", "--api-key", "a"),
    ("--user", "ann"),
    ("--status", "2xx"),
)
RANGES = (
    (),
    ("--since", "2026-03-29", "--until", "2026-10-25"),
    ("--since", "2024-09-30T12:00", "--until", "2026-11-20T11:59:59.999999"),
    ("--since", "2024-09-30T12:00:00.5", "--until", "2026-11-20T12:30"),
)
OWNERS = """schema_version: 1
owners:
  - {api_key: a, owner: ann, team: red}
  - {api_key: a, owner: bob, team: blue, valid_from: 2026-10-25}
"""
STRANGE_BOUND = """schema_version: 1
prices:
  - provider: openai
    model: gpt-4o
    valid_from: 2020-01-01
    usd_per_million: {input: "1.00", cached_input: "0.10", output: "3.00"}
    long_context: {above_input_tokens: 5, input: "7.00", output: "11.00"}
"""


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    base = tmp_path_factory.mktemp("kept")
    (base / "owners.yml").write_text(OWNERS)
    (base / "strange.yml").write_text(STRANGE_BOUND)
    return (base / str(number) for number in range(10_000))


def without(store: Store, *arguments: str) -> Any:
    """What the records themselves say."""
    hidden = store.path / "hidden"
    (store.path / totals.DIRECTORY).rename(hidden)
    try:
        return ask(store, *arguments)
    finally:
        hidden.rename(store.path / totals.DIRECTORY)


@settings(max_examples=15, deadline=None)
@given(
    records=many(),
    late=many(),
    by=st.lists(st.sampled_from(sorted(DIMENSIONS)), max_size=3, unique=True),
    zone=st.sampled_from(ZONES),
    only=st.sampled_from(FILTERS),
    span=st.sampled_from(RANGES),
    strange_book=st.booleans(),
    arrives=st.sampled_from(["never", "incoming", "part", "part after"]),
)
def test_answers_are_those_of_the_records(
    directories: Iterator[Path],
    records: list[dict[str, Any]],
    late: list[dict[str, Any]],
    by: list[str],
    zone: str,
    only: tuple[str, ...],
    span: tuple[str, ...],
    strange_book: bool,
    arrives: str,
) -> None:
    store = Store(next(directories))
    store.compact(records, "part-000001.parquet")
    late = [one | {"boot_id": "boot-2"} for one in late]
    refresh(store.path)
    if arrives == "incoming":
        store.append([*late, records[0]])
    elif arrives.startswith("part"):
        store.compact(late, "part-000002.parquet")
        if arrives == "part after":
            refresh(store.path)
    book = ("--prices", str(store.path.parent / "strange.yml")) if strange_book else ()
    owners = ("--owners", str(store.path.parent / "owners.yml"))
    asked = ("costs", *(f"--by={name}" for name in by), "--tz", zone, *only, *span, *book, *owners)
    assert ask(store, *asked) == without(store, *asked)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for day in ("2026-11-01", "2026-11-02"):
        store.compact(
            [record(n, received_at=f"{day}T10:00:{n:02}.000000Z", boot_id=day) for n in range(1, 9)],
            "part-000001.parquet",
        )
    assert refresh(store.path) == 2
    return store


def spoil(path: Path) -> None:
    """Make a file unreadable without a trace in its size and time."""
    status = path.stat()
    path.write_bytes(b"\0" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


QUESTIONS = ("costs", "budget", "export", "rerate", "whatif")


@pytest.mark.parametrize("command", QUESTIONS)
def test_closed_days_are_answered_from_their_sums_alone(store: Store, command: str, tmp_path: Path) -> None:
    budgets = tmp_path / "budgets.yml"
    budgets.write_text('schema_version: 1\nbudgets:\n  - {name: all, limit_usd: "1.00"}\n')
    asked = {
        "budget": ["budget", "--budgets", str(budgets), "--on", "2026-11-02"],
        "export": ["export", "--focus"],
        "rerate": ["rerate", "--as-of", "2024-06-01"],
        "whatif": ["whatif", "--map", "gpt-4o-2024-08-06=gpt-4o-mini", "--since", "2026-11-01"],
    }.get(command, [command])
    expected = ask(store, *asked)
    for part in (store.path / "requests").rglob("*.parquet"):
        spoil(part)
    assert ask(store, *asked) == expected


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "gone", "half-written"])
def test_damaged_sums_are_not_believed(store: Store, damage: str) -> None:
    expected = ask(store, "costs", "--by", "day")
    path = min((store.path / totals.DIRECTORY).iterdir())
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "garbage":
            path.write_bytes(b"\0" * len(content))
        case "empty":
            path.write_bytes(b"")
        case "gone":
            path.unlink()
        case "half-written":
            path.rename(path.with_name(f".{path.name}.tmp"))
    assert ask(store, "costs", "--by", "day") == expected


def test_compaction_makes_sums_anew_where_records_came_late(store: Store) -> None:
    before = {path.name for path in (store.path / totals.DIRECTORY).iterdir()}
    store.append([record(1, boot_id="late", received_at="2026-11-02T09:00:00.000000Z")])
    assert run(store, "compact", "--settle", "0").exit_code == 0
    after = {path.name for path in (store.path / totals.DIRECTORY).iterdir()}
    assert len(before - after) == len(after - before) == 1
    assert ask(store, "costs")["totals"]["requests"] == 17
    for part in (store.path / "requests").rglob("*.parquet"):
        spoil(part)
    assert ask(store, "costs")["totals"]["requests"] == 17


def test_a_day_that_is_deleted_takes_its_sums_with_it(store: Store) -> None:
    assert run(store, "compact", "--keep-requests-days", "1").exit_code == 0
    assert list((store.path / totals.DIRECTORY).iterdir()) == []
    assert ask(store, "costs")["totals"]["requests"] == 0


def test_records_of_a_later_version_are_still_warned_of(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.compact([record(1), record(2) | {"schema_version": 2}], "part-000001.parquet")
    assert refresh(store.path) == 0
    answer = ask(store, "costs")
    assert answer["totals"]["requests"] == 1
    assert "schema_version above 1" in answer["warnings"][0]


def test_the_shipped_price_book_can_be_applied_to_sums() -> None:
    """Else every question of cost would read all records again."""
    assert set(PriceBook.load().long_context_bounds) <= set(totals.BOUNDS)


def compact(store: Store) -> None:
    assert run(store, "compact", "--settle", "0").exit_code == 0


@pytest.fixture
def balanced(tmp_path: Path) -> Store:
    """Three days of calls of which most came through a load balancer, some around midnight."""
    store, chance = Store(tmp_path), random.Random(1)
    calls, seen = [], []
    for n in range(1, 200):
        day, hour = chance.randint(1, 3), chance.choice([0, 9, 10, 23])
        received = f"2026-11-{day:02}T{hour:02}:59:{n % 60:02}.{n:06}Z"
        own = chance.randint(1, 10**6) / 1000
        who = {"end_user": chance.choice(["ann", None]), "host": chance.choice(["h1", "h2"])}
        calls.append(record(n, received_at=received, duration_ms=own, final=n % 10 > 0, **who))
        for balancer in chance.choice([[], ["b1"], ["b1", "b2"]]):
            later = f"2026-11-{day + (hour == 23):02}T{(hour + 1) % 24:02}:00:00.{n:03}Z"
            taken = own + chance.randint(0, 9)
            seen.append(access_record(f"request-{n:04}", host=balancer, received_at=later, duration_ms=taken))
    store.append(calls)
    store.append_access(seen)
    compact(store)
    assert len(list((tmp_path / totals.DIRECTORY).glob("*.shares.parquet"))) == 3
    return store


@pytest.mark.parametrize(
    "asked",
    [
        (),
        ("--by", "day", "--by", "user", "--tz", "Europe/Berlin"),
        ("--by", "hour", "--by", "status", "--tz", "Asia/Kolkata"),
        ("--host", "h1", "--since", "2026-11-02", "--until", "2026-11-03T09:59:30"),
        ("--user", "", "--since", "2026-11-01T10:00"),
    ],
)
def test_what_load_balancers_added_is_what_the_records_say(balanced: Store, asked: tuple[str, ...]) -> None:
    answer = ask(balanced, "latency", *asked)
    assert answer == without(balanced, "latency", *asked)
    assert answer["totals"]["load_balancer"]["requests"] > 10
    # Days without a file of their own, and lines that nobody has compacted, count beside the others.
    min((balanced.path / totals.DIRECTORY).glob("2026-11-02.*.shares.parquet")).unlink()
    balanced.append([record(1, boot_id="late", request_id="late", received_at="2026-11-03T10:00:00.000000Z")])
    balanced.append_access([access_record("late", received_at="2026-11-03T10:00:00.000Z", duration_ms=900.0)])
    balanced.append_access([access_record("request-0001", host="b3", received_at="2026-11-01T00:00:00.000Z")])
    assert ask(balanced, "latency", *asked) == without(balanced, "latency", *asked)


def test_closed_days_need_no_access_records_for_their_latency(balanced: Store) -> None:
    asked = ("latency", "--measure", "load_balancer", "--by", "host")
    one_day = (*asked, "--since", "2026-11-02", "--until", "2026-11-02")
    expected = ask(balanced, *asked), ask(balanced, *one_day)
    for part in balanced.path.glob("*/date=*/*.parquet"):
        spoil(part)
    assert (ask(balanced, *asked), ask(balanced, *one_day)) == expected


def test_a_late_access_record_counts_for_a_closed_day(balanced: Store) -> None:
    balanced.append(
        [record(1, boot_id="other", request_id="lonely", received_at="2026-11-02T23:59:00.000000Z")]
    )
    compact(balanced)
    before = ask(balanced, "latency")["totals"]["load_balancer"]
    late = access_record("lonely", received_at="2026-11-03T00:00:00.000Z", duration_ms=10_100.0)
    balanced.append_access([late])
    for _ in range(2):  # as a line, then compacted
        after = ask(balanced, "latency")["totals"]["load_balancer"]
        assert (after["requests"], after["max_ms"]) == (before["requests"] + 1, 10_000.0)
        compact(balanced)
