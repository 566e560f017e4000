"""A day is the user's day, on every day of the year."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.analytics_store import Store, ask, record, rows_by, run


@pytest.fixture(scope="module")
def autumn(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A call every half hour around the end of summer time in Berlin: 2026-10-25 has 25 hours."""
    store = Store(tmp_path_factory.mktemp("autumn"))
    start = datetime(2026, 10, 23, tzinfo=UTC)
    times = [start + timedelta(minutes=30 * n) for n in range(4 * 48)]
    records = [record(n, received_at=f"{t:%Y-%m-%dT%H:%M:%S}.000000Z") for n, t in enumerate(times, start=1)]
    store.compact(records[:100])
    store.append(records[90:])
    return store


def counts(store: Store, *arguments: str) -> dict[str, int]:
    by = arguments[arguments.index("--by") + 1]
    rows = rows_by(ask(store, "requests", *arguments), by)
    return {key: row["requests"] for key, row in rows.items()}


def test_the_long_day_has_25_hours(autumn: Store) -> None:
    days = counts(autumn, "--by", "day", "--tz", "Europe/Berlin")
    assert days["2026-10-24"] == 48
    assert days["2026-10-25"] == 50
    assert counts(autumn, "--by", "day")["2026-10-25"] == 48


def test_the_repeated_hour_is_two_hours(autumn: Store) -> None:
    hours = counts(
        autumn, "--by", "hour", "--tz", "Europe/Berlin", "--since", "2026-10-25", "--until", "2026-10-25"
    )
    assert list(hours)[1:5] == [
        "2026-10-25T01:00+02:00",
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]
    assert len(hours) == 25
    assert set(hours.values()) == {2}


def test_a_range_of_days_is_those_days_of_the_user(autumn: Store) -> None:
    answer = ask(
        autumn,
        "requests",
        "--by",
        "day",
        "--tz",
        "Europe/Berlin",
        "--since",
        "2026-10-24",
        "--until",
        "2026-10-25",
    )
    assert {row["day"]: row["requests"] for row in answer["rows"]} == {"2026-10-24": 48, "2026-10-25": 50}
    assert answer["range"] == {
        "since": "2026-10-24T00:00:00+02:00",
        "until": "2026-10-25T23:59:59.999999+01:00",
        "tz": "Europe/Berlin",
    }


def test_both_ends_belong_to_the_range(autumn: Store) -> None:
    exact = ask(autumn, "requests", "--since", "2026-10-24T10:00:00Z", "--until", "2026-10-24T10:30:00Z")
    assert exact["totals"]["requests"] == 2
    local = ask(
        autumn,
        "requests",
        "--tz",
        "Asia/Kolkata",
        "--since",
        "2026-10-24T15:30",
        "--until",
        "2026-10-24T15:59:59",
    )
    assert local["totals"]["requests"] == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "America/St_Johns"]
    ),
    st.integers(0, 4 * 48 * 30),
)
def test_two_ranges_that_meet_neither_lose_nor_repeat_a_call(autumn: Store, tz: str, minutes: int) -> None:
    cut = datetime(2026, 10, 23, tzinfo=UTC) + timedelta(minutes=minutes)
    before, after = (
        ask(autumn, "requests", "--by", "day", "--tz", tz, flag, moment.isoformat())
        for flag, moment in (("--until", cut - timedelta(microseconds=1)), ("--since", cut))
    )
    whole = ask(autumn, "requests", "--by", "day", "--tz", tz)
    days: dict[str, int] = {}
    for row in (*before["rows"], *after["rows"]):
        days[row["day"]] = days.get(row["day"], 0) + row["requests"]
    assert days == {row["day"]: row["requests"] for row in whole["rows"]}


def test_the_last_hours_reach_back_from_now(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    now = datetime.now(UTC)
    for n, age in enumerate([timedelta(minutes=5), timedelta(hours=5), timedelta(days=5)], start=1):
        store.append([record(n, received_at=f"{now - age:%Y-%m-%dT%H:%M:%S.%f}Z")])
    found = {
        last: ask(store, "requests", "--last", last)["totals"]["requests"] for last in ("1h", "6h", "1w")
    }
    assert found == {"1h": 1, "6h": 2, "1w": 3}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tz", "Europe/Berln"], "Did you mean Europe/Berlin?"),
        (["--tz", ""], "--tz"),
        (["--since", "2026-02-30"], "--since"),
        (["--since", "last week"], "2026-11-01"),
        (["--until", "infinity"], "--until"),
        (["--since", "9999-12-31"], "--since"),
        (["--since", "2026-11-02", "--until", "2026-11-01"], "Swap them"),
        (["--last", "7d", "--since", "2026-11-01"], "--last"),
        (["--last", "soon"], "7d"),
        (["--by", "colour"], "'model'"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_remedy(
    autumn: Store, arguments: list[str], said: str
) -> None:
    result = run(autumn, "costs", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
