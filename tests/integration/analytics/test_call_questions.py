"""How long calls took and what went wrong with them."""

import statistics
from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, access_record, ask, record, rows_by


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_percentiles_are_of_the_single_calls(store: Store) -> None:
    fast, slow = [float(n) for n in range(1, 100)], [1000.0, 5000.0]
    store.append(
        [
            record(n, duration_ms=d + 10, upstream_ms=d, endpoint="fast" if d < 1000 else "slow")
            for n, d in enumerate(fast + slow, start=1)
        ]
    )
    answer = ask(store, "latency", "--by", "endpoint")
    rows = rows_by(answer, "endpoint", "measure")
    assert rows["fast", "total"]["p50_ms"] == 60.0
    assert rows["slow", "total"]["p50_ms"] == 3010.0
    quantiles = statistics.quantiles([d + 10 for d in fast + slow], n=100, method="inclusive")
    assert answer["totals"]["total"]["p90_ms"] == pytest.approx(quantiles[89], abs=0.001)
    assert answer["totals"]["total"]["p99_ms"] == pytest.approx(quantiles[98], abs=0.001)
    assert answer["totals"]["total"]["max_ms"] == 5010.0
    assert rows["fast", "gateway"]["p99_ms"] == 10.0
    assert ("fast", "first_token") not in rows


def test_the_load_balancers_share_is_its_time_beyond_the_gateways(store: Store) -> None:
    store.append(
        [
            record(1, received_at="2026-11-02T23:59:59.999000Z"),
            record(2, received_at="2026-11-02T12:00:00.000000Z"),
            record(3, request_id="request-0002", attempt=1, final=False, duration_ms=1.0),
        ]
    )
    store.append_access(
        [
            access_record("request-0001", received_at="2026-11-03T00:00:00.001Z", duration_ms=103.5),
            access_record("request-0001", received_at="2026-11-03T00:00:00.001Z", duration_ms=103.5),
            access_record("request-0002", duration_ms=101.5),
            access_record("request-9999", duration_ms=9999.0),
        ]
    )
    rows = rows_by(ask(store, "latency", "--until", "2026-11-02"), "measure")
    assert rows["load_balancer"] == {
        "measure": "load_balancer",
        "requests": 2,
        "p50_ms": 2.5,
        "p90_ms": 3.3,
        "p99_ms": 3.48,
        "max_ms": 3.5,
    }
    assert rows["total"]["requests"] == 2


def test_errors_name_their_cause_and_where_to_look(store: Store) -> None:
    store.append([record(n) for n in range(1, 97)])
    store.append(
        [
            record(97, **FAILED, received_at="2026-11-02T11:00:00.000000Z"),
            record(98, **FAILED, received_at="2026-11-02T12:00:00.000000Z"),
            record(99, **FAILED | {"http_status": 503, "error_class": "provider"}),
            record(100, request_id="request-0001", final=False, http_status=504, error_class="timeout"),
            record(101, **FAILED, received_at="2026-11-02T13:00:00.000000Z"),
            record(102, **FAILED, received_at="2026-11-02T14:00:00.000000Z"),
        ]
    )
    answer = ask(store, "errors")
    rows = rows_by(answer, "error_class")
    assert rows["rate_limit"]["failed_requests"] == 4
    assert rows["rate_limit"]["examples"] == ["request-0102", "request-0101", "request-0098"]
    assert rows["rate_limit"]["last_seen"] == "2026-11-02T14:00:00Z"
    assert (rows["timeout"]["failed_requests"], rows["timeout"]["failed_attempts"]) == (0, 1)
    assert rows["provider"]["statuses"] == ["503"]
    assert answer["totals"]["requests"] == 101
    assert answer["totals"]["percent"] == 4.95


def test_latency_tells_single_measures(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append([record(1, request_id="a", duration_ms=100.0, upstream_ms=90.0)])
    store.append_access([access_record("a", duration_ms=101.5)])
    every = {row["measure"]: row for row in ask(store, "latency")["rows"]}
    assert list(every) == ["total", "upstream", "gateway", "load_balancer"]
    some = ask(store, "latency", "--measure", "gateway", "--measure", "total")["rows"]
    assert some == [every["total"], every["gateway"]]
    # A call of an hour has more microseconds than 32 bits.
    store.append([record(2, request_id="b", duration_ms=3_600_000.002, upstream_ms=3_600_000.0)])
    store.append_access([access_record("b", duration_ms=7_200_000.0)])
    longest = {row["measure"]: row["max_ms"] for row in ask(store, "latency")["rows"]}
    assert longest == {
        "total": 3_600_000.002,
        "upstream": 3_600_000.0,
        "gateway": 10.0,
        "load_balancer": 3_599_999.998,
    }
