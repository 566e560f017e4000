"""verify: two witnesses, every difference explained, and only what is lost is called lost."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.analytics_store import Store, ask, record, rows_by, run

START = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
GATEWAY = "10.0.0.1:5101"


def at(seconds: float) -> str:
    return f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def access(number: int, **fields: Any) -> dict[str, Any]:
    """What the load balancer wrote of call `number`, which came so many seconds after the start."""
    return {
        "schema_version": 1,
        "request_id": f"request-{number:04}",
        "received_at": at(number)[:-4] + "Z",
        "host": "balancer-1",
        "client_address": "192.0.2.7",
        "method": "POST",
        "path": "/v1/chat/completions",
        "http_status": 200,
        "request_bytes": 300,
        "response_bytes": 400,
        "duration_ms": 120,
        "upstream_address": GATEWAY,
        "upstream_status": 200,
        "upstream_connect_ms": 0,
        "upstream_header_ms": 110,
        "upstream_ms": 120,
        "limited": False,
    } | fields


def call(number: int, **fields: Any) -> dict[str, Any]:
    sequence = fields.pop("sequence", number)
    return record(
        sequence, **{"request_id": f"request-{number:04}", "received_at": at(number + 0.001)} | fields
    )


class Witnesses:
    """A store with request records and access records."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path / "store")
        (self.store.path / "incoming" / "access").mkdir()

    def saw(self, *records: dict[str, Any]) -> None:
        with (self.store.path / "incoming" / "access" / "a.jsonl").open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in records)

    def totals(self, *arguments: str) -> dict[str, int]:
        totals: dict[str, int] = ask(self.store, "verify", *arguments)["totals"]
        return {name: count for name, count in totals.items() if count}


@pytest.fixture
def witnesses(tmp_path: Path) -> Witnesses:
    return Witnesses(tmp_path)


def test_what_both_saw_is_recorded(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 51))
    witnesses.saw(*(access(n) for n in range(1, 51)))
    assert witnesses.totals("--check") == {"recorded": 50}
    ask(witnesses.store, "compact")
    assert witnesses.totals("--check") == {"recorded": 50}


def test_a_record_that_is_gone_is_lost_once_though_both_witnesses_miss_it(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 51) if n not in (20, 21))
    witnesses.saw(*(access(n) for n in range(1, 51)))
    assert witnesses.totals() == {"recorded": 48, "sequence_gaps": 2, "lost": 2}
    checked = run(witnesses.store, "verify", "--check")
    assert checked.exit_code == 1
    assert "2 records are lost" in checked.stderr
    assert run(witnesses.store, "verify").exit_code == 0


def test_a_last_record_that_is_gone_leaves_no_gap_and_is_lost_all_the_same(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 50))
    # Another process of the same gateway ran before and goes on.
    witnesses.store.append(call(n, boot_id="boot-2", sequence=n) for n in (1, 2))
    witnesses.store.append(call(n, boot_id="boot-2", sequence=n - 997) for n in range(1000, 1003))
    witnesses.saw(*(access(n) for n in (*range(1, 51), *range(1000, 1003))))
    assert witnesses.totals() == {"recorded": 52, "lost": 1}


def test_first_records_that_are_gone_are_lost(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(4, 11))
    assert witnesses.totals()["lost"] == 3
    assert witnesses.totals("--since", "2026-11-02") == {}, "they may have come before the range"


def test_what_needs_no_record_is_explained(witnesses: Witnesses) -> None:
    witnesses.store.append([call(1), call(30, sequence=2)])
    unreached = dict.fromkeys(
        ("upstream_address", "upstream_status", "upstream_connect_ms", "upstream_header_ms", "upstream_ms")
    )
    witnesses.saw(
        access(1),
        access(2, limited=True, http_status=429, **unreached),
        access(3, method="GET", path="/v1/models"),
        access(4, method="GET", path="/gateway/chat/invocations", http_status=405),
        access(5, http_status=413, **unreached),
        access(6, http_status=400, method="", path="", **unreached),
        access(7, http_status=502, upstream_status=502, upstream_connect_ms=None, upstream_header_ms=None),
        access(8, http_status=502, upstream_address=f"10.0.0.2:5101, {GATEWAY}", upstream_status="502, 502",
               upstream_connect_ms="-, -", upstream_header_ms="-, -", upstream_ms="0, 0"),
        access(30),
    )  # fmt: skip
    assert witnesses.totals("--check") == {"recorded": 2, "limited": 1, "no_call": 3, "before_gateway": 3}


def test_calls_in_flight_when_a_gateway_is_killed_are_explained(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 21))
    witnesses.store.append(call(n, boot_id="boot-2", sequence=n - 39) for n in range(40, 61))
    witnesses.saw(
        *(access(n) for n in (*range(1, 21), *range(40, 61))),
        # Killed before it answered, and in the midst of a stream.
        access(21, http_status=502, upstream_status=502, upstream_header_ms=None),
        access(22, http_status=200, duration_ms=9000, upstream_ms=9000),
    )
    assert witnesses.totals("--check") == {"recorded": 41, "in_flight": 2}


def test_records_that_a_killed_gateway_had_not_written_are_lost(witnesses: Witnesses) -> None:
    # Their disk was full for 19 seconds. What was over before the process ended was not in flight then.
    witnesses.store.append(call(n) for n in range(1, 21))
    witnesses.store.append(call(n, boot_id="boot-2", sequence=n - 39) for n in range(40, 61))
    witnesses.saw(
        *(access(n) for n in (*range(1, 39), *range(40, 61))),
        access(39, duration_ms=200, upstream_ms=200),
        # Streams that were cut then; the second had begun before the last record.
        access(37, request_id="stream-1", duration_ms=2200, upstream_ms=2200),
        access(19, request_id="stream-2", duration_ms=20200, upstream_ms=20200),
    )
    totals = witnesses.totals()
    assert totals == {"recorded": 41, "in_flight": 4, "lost": 17}


def test_a_call_that_a_living_gateway_answered_is_not_explained_away(witnesses: Witnesses) -> None:
    # Sequence 21 went to the caller; the process goes on with 22.
    witnesses.store.append(call(n) for n in (*range(1, 21), *range(22, 61)))
    witnesses.saw(*(access(n) for n in range(1, 61)))
    assert witnesses.totals() == {"recorded": 59, "sequence_gaps": 1, "lost": 1}


def test_what_is_young_is_not_yet_shipped(witnesses: Witnesses) -> None:
    now = datetime.now(UTC)
    young = {"received_at": f"{now - timedelta(seconds=30):%Y-%m-%dT%H:%M:%S}.000Z"}
    witnesses.store.append([call(1)])
    witnesses.saw(access(1), access(2, **young))
    assert witnesses.totals("--check") == {"recorded": 1, "not_yet_shipped": 1}


def test_a_host_whose_records_do_not_arrive_is_awaited_and_then_lost(witnesses: Witnesses) -> None:
    now = datetime.now(UTC)
    hours = [f"{now - timedelta(hours=h):%Y-%m-%dT%H:%M:%S}" for h in (30, 20, 10)]
    witnesses.store.append([record(1, received_at=f"{hours[0]}.100000Z")])
    witnesses.saw(*(access(n + 1, received_at=f"{hours[n]}.000Z") for n in range(3)))
    assert witnesses.totals("--check") == {"recorded": 1, "not_yet_shipped": 2}
    assert witnesses.totals("--overdue", "15h") == {"recorded": 1, "not_yet_shipped": 1, "lost": 1}


def test_calls_beside_the_load_balancer_are_told_apart(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 6))
    witnesses.saw(access(1), access(2), access(3))
    assert witnesses.totals("--check") == {"recorded": 3, "not_through_load_balancer": 2}


def test_retries_are_no_calls_of_their_own(witnesses: Witnesses) -> None:
    witnesses.store.append(
        [
            call(1, final=False, http_status=502),
            call(2, request_id="request-0001", attempt=2),
        ]
    )
    witnesses.saw(access(1))
    assert witnesses.totals("--check") == {"recorded": 1}


def test_partners_across_the_ends_of_the_range_are_found(witnesses: Witnesses) -> None:
    # Received by the load balancer in one hour, by the gateway in the next.
    late = at(3600)
    witnesses.store.append([record(1, received_at=late)])
    witnesses.saw(access(1, received_at=at(3599)[:-4] + "Z"))
    assert witnesses.totals("--until", "2026-11-02T10:59:59.999") == {"recorded": 1}
    assert witnesses.totals("--since", "2026-11-02T11:00") == {}


def test_rows_are_per_hour_and_host(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in range(1, 4))
    witnesses.store.append(
        call(n, host="gateway-2", boot_id="boot-2", sequence=n - 3599) for n in range(3600, 3603)
    )
    witnesses.saw(
        *(access(n) for n in range(1, 4)),
        *(access(n, upstream_address="10.0.0.2:5101") for n in range(3600, 3603)),
    )
    answer = ask(witnesses.store, "verify", "--tz", "Europe/Berlin")
    rows = rows_by(answer, "hour", "host")
    assert {key: row["recorded"] for key, row in rows.items()} == {
        ("2026-11-02T11:00+01:00", "gateway-1"): 3,
        ("2026-11-02T12:00+01:00", "gateway-2"): 3,
    }
    assert [row["host"] for row in ask(witnesses.store, "verify", "--by", "host")["rows"]] == [
        "gateway-1",
        "gateway-2",
    ]


def test_one_host_is_judged_beside_what_the_others_have(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in (1, 2, 4))
    witnesses.store.append(call(n, host="gateway-2", boot_id="boot-2", sequence=n - 9) for n in range(10, 13))
    witnesses.saw(*(access(n) for n in range(1, 5)))
    witnesses.saw(*(access(n, upstream_address="10.0.0.2:5101") for n in range(10, 13)))
    assert witnesses.totals("--host", "gateway-2", "--check") == {"recorded": 3}
    assert witnesses.totals("--host", "gateway-1") == {"recorded": 3, "sequence_gaps": 1, "lost": 1}


def test_days_that_were_deleted_are_not_taken_for_lost(witnesses: Witnesses) -> None:
    now = datetime.now(UTC)
    days = [f"{now - timedelta(days=d):%Y-%m-%dT12:00:00.000000Z}" for d in (40, 20)]
    witnesses.store.append([record(1, received_at=days[0]), record(2, received_at=days[1])])
    assert witnesses.totals("--check") == {}
    ask(witnesses.store, "compact", "--keep-requests-days", "25")
    assert witnesses.totals("--check") == {}


def test_without_access_records_the_numbers_alone_are_looked_at(witnesses: Witnesses) -> None:
    witnesses.store.append(call(n) for n in (1, 2, 4))
    answer = ask(witnesses.store, "verify")
    assert answer["totals"]["lost"] == 1
    assert answer["totals"]["not_through_load_balancer"] == 0
    assert "no access records" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "model"], "--by model is nothing that both witnesses know"),
        (["--model", "gpt-4o"], "--model: a load balancer does not know it"),
        (["--settle", "soon"], "--settle: 'soon' is no period"),
    ],
)
def test_what_verify_cannot_be_asked(witnesses: Witnesses, arguments: list[str], message: str) -> None:
    result = run(witnesses.store, "verify", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
