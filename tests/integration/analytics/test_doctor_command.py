"""`gateway-analytics doctor`: what is not well with a store is said, with what to do."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.analytics_store import Store, access_record, record, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def at(age: timedelta) -> str:
    return f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%S.%f}Z"


def doctor(store: Store) -> tuple[int, dict[str, dict[str, Any]]]:
    result = run(store, "doctor", "--format", "json")
    return result.exit_code, {row["check"]: row for row in json.loads(result.stdout)["rows"]}


def test_a_store_that_is_well(store: Store) -> None:
    store.append([record(n, received_at=at(timedelta(hours=1))) for n in range(1, 4)])
    store.append_access([access_record("request-0001", received_at=at(timedelta(hours=1)))])
    code, checks = doctor(store)
    assert code == 0
    assert {row["status"] for row in checks.values()} == {"ok"}


def test_what_is_lost_late_or_unpriced_is_found(store: Store) -> None:
    hour = at(timedelta(hours=1))
    store.append(
        [
            record(1, received_at=hour),
            record(4, received_at=hour, request_model="home-made", response_model=None),
            record(1, boot_id="late", host="gateway-2", received_at=at(timedelta(days=2))),
            record(1, boot_id="skewed", host="gateway-3", received_at=hour, request_id="skewed"),
        ]
    )
    store.append_bytes(b"nonsense\n", "bad.jsonl")
    store.append_access(
        [
            access_record("nobody-knows", received_at=hour),
            access_record("turned-away", received_at=hour, limited=True),
            access_record("skewed", received_at=at(timedelta(hours=1, seconds=30))),
        ]
    )
    code, checks = doctor(store)
    assert code == 1
    assert {name: row["status"] for name, row in checks.items()} == {
        "host gateway-1": "ok",
        "host gateway-2": "warn",
        "host gateway-3": "warn",
        "lines": "fail",
        "records": "fail",
        "disk": "ok",
        "prices": "warn",
    }
    assert "2 numbers missing" in checks["records"]["found"]
    assert "+30" in checks["host gateway-3"]["found"]
    assert "home-made" in checks["prices"]["found"]
    assert all(row["remedy"] for row in checks.values() if row["status"] != "ok")


def test_a_clock_that_runs_ahead_is_found(store: Store) -> None:
    store.append([record(1, received_at=at(-timedelta(hours=1)))])
    code, checks = doctor(store)
    assert (code, checks["host gateway-1"]["status"]) == (1, "fail")


def test_an_empty_store_says_so(store: Store) -> None:
    code, checks = doctor(store)
    assert code == 0
    assert checks["calls"]["status"] == "warn"
