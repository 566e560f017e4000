"""`gateway-analytics requests`: calls, and how they went."""

from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, ask, record, rows_by, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_success_and_failure_by_host(store: Store) -> None:
    store.append([record(n, host="h1", duration_ms=float(n)) for n in range(1, 101)])
    store.append([record(n, host="h2", **FAILED) for n in range(101, 104)])
    rows = rows_by(ask(store, "requests", "--by", "host"), "host")
    assert (rows["h1"]["requests"], rows["h1"]["failed_requests"], rows["h1"]["input_tokens"]) == (
        100,
        0,
        100_000,
    )
    assert (rows["h2"]["successful_requests"], rows["h2"]["failed_requests"]) == (0, 3)
    assert (rows["h1"]["duration_ms_p50"], rows["h1"]["duration_ms_p95"]) == (50.5, 95.05)


def test_tokens_that_nobody_stated_are_unknown(store: Store) -> None:
    store.append([record(1, **FAILED)])
    assert ask(store, "requests")["totals"]["input_tokens"] is None


def test_percentiles_over_all_groups_are_of_all_calls(store: Store) -> None:
    store.append([record(n, host="fast", duration_ms=10.0) for n in range(1, 10)])
    store.append([record(10, host="slow", duration_ms=1000.0)])
    assert ask(store, "requests", "--by", "host")["totals"]["duration_ms_p50"] == 10.0


def test_attempts_before_the_last_are_no_calls(store: Store) -> None:
    store.append([record(1, final=False, http_status=500), record(2, attempt=2, duration_ms=7.0)])
    totals = ask(store, "requests")["totals"]
    assert (totals["requests"], totals["failed_requests"], totals["duration_ms_p50"]) == (1, 0, 7.0)
    assert totals["output_tokens"] == 200


def test_single_calls_newest_first(store: Store) -> None:
    store.append(
        [
            record(1, received_at="2026-11-02T10:00:00.000001Z"),
            record(2, received_at="2026-11-02T12:00:00.000000Z", **FAILED),
            record(3, received_at="2026-11-02T11:00:00.000000Z", final=False),
        ]
    )
    answer = ask(store, "requests", "--list", "--tz", "Asia/Kolkata")
    assert [row["request_id"] for row in answer["rows"]] == ["request-0002", "request-0001"]
    assert answer["rows"][1]["received_at"] == "2026-11-02T15:30:00.000001+05:30"
    assert answer["rows"][0]["error_class"] == "rate_limit"
    limited = run(store, "requests", "--list", "--limit", "1", "--format", "csv")
    assert len(limited.stdout.splitlines()) == 2
    assert "1 older call" in limited.stderr


def test_list_goes_without_groups(store: Store) -> None:
    result = run(store, "requests", "--list", "--by", "model")
    assert result.exit_code == 2
    assert "--by" in result.stderr
