"""Compaction: incoming records into Parquet, each once, whatever arrives when."""

import fcntl
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gateway_analytics import batches, compact_run, housekeeping
from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record, run

OLD = "requests-gateway-1-llm-gateway-1-boot0001-20261102T10.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def compact(store: Store, *arguments: str) -> dict[str, Any]:
    """Compact; return the row of the request records."""
    row: dict[str, Any] = ask(store, "compact", *arguments)["rows"][0]
    return row


def parquet(store: Store, what: str, kind: str = "requests") -> Any:
    return duckdb.sql(
        f"SELECT {what} FROM read_parquet('{store.path}/{kind}/*/*.parquet', hive_partitioning = true)"
    ).fetchall()


def age(path: Path, seconds: float = 7200) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


@pytest.mark.parametrize("repeated", [0, 20])
def test_answers_are_the_same_before_and_after(store: Store, repeated: int) -> None:
    users = ("12", "Zoë", "true", 'a "b"', "\\", None, "-1e5")
    records = [
        record(n, received_at=f"2026-11-{1 + n % 3:02}T10:{n % 60:02}:00.{n:06}Z", end_user=users[n % 7])
        for n in range(300)
    ]
    store.append([*records, *records[:repeated]], OLD)
    questions = [
        ["costs", "--by", "day", "--by", "user"],
        ["requests", "--by", "host"],
        ["requests", "--list"],
        ["requests", "--since", "2026-11-02", "--until", "2026-11-02"],
    ]
    before = [ask(store, *question) for question in questions]
    row = compact(store)
    assert (row["records"], row["repeated"], row["quarantined"]) == (300, repeated, 0)
    assert [ask(store, *question) for question in questions] == before
    assert parquet(store, "count(*), count(DISTINCT (boot_id, sequence))") == [(300, 300)]
    wrong_day = (
        "count(*) FILTER (strftime(timezone('UTC', received_at), '%Y-%m-%d') <> CAST(date AS VARCHAR))"
    )
    assert parquet(store, wrong_day) == [(0,)]


def test_parts_are_sorted_by_time(store: Store) -> None:
    store.append(record(n, received_at=f"2026-11-02T10:00:{(n * 7) % 60:02}.000000Z") for n in range(60))
    compact(store)
    times = [row[0] for row in parquet(store, "received_at::VARCHAR")]
    assert len(times) == 60
    assert times == sorted(times)


def test_a_second_run_finds_nothing_to_do(store: Store) -> None:
    store.append([record(1)])
    assert compact(store)["records"] == 1
    files = sorted(path.name for path in store.path.rglob("*"))
    assert compact(store)["records"] == 0
    assert sorted(path.name for path in store.path.rglob("*")) == files


def test_a_file_that_still_grows_is_read_on_from_where_it_was(store: Store) -> None:
    line = encode(record(3))
    store.append_bytes(encode(record(1)) + encode(record(2)) + line[:100])
    assert compact(store)["records"] == 2
    assert ask(store, "requests")["totals"]["requests"] == 2
    store.append_bytes(line[100:] + encode(record(4)))
    assert ask(store, "requests")["totals"]["requests"] == 4
    row = compact(store)
    assert (row["records"], row["repeated"], row["quarantined"]) == (2, 0, 0)
    assert parquet(store, "list(sequence ORDER BY sequence)") == [([1, 2, 3, 4],)]


def test_late_and_repeated_deliveries_find_their_own_day_once(store: Store) -> None:
    first = [record(n, received_at=f"2026-11-0{1 + n % 2}T23:59:59.{n:06}Z") for n in range(1, 41)]
    store.append(first[:30], "a.jsonl")
    compact(store)
    store.append(first[20:], "b.jsonl")
    row = compact(store)
    assert (row["records"], row["repeated"]) == (10, 10)
    days = "count(*) FILTER (date = '2026-11-01'), count(*) FILTER (date = '2026-11-02')"
    assert parquet(store, days) == [(20, 20)]
    assert ask(store, "requests")["totals"]["requests"] == 40


def test_files_go_when_they_are_done_and_old_and_not_before(store: Store) -> None:
    path = store.append([record(1)], OLD)
    assert compact(store)["files_removed"] == 0
    assert path.exists(), "its last change is too young"
    age(path)
    compact(store)
    assert not path.exists()
    (hidden,) = store.incoming.iterdir()
    with hidden.open("ab") as writer_that_had_it_open:
        writer_that_had_it_open.write(encode(record(2)))
    assert compact(store, "--settle", "0")["records"] == 1
    assert list(store.incoming.iterdir()) == []
    assert ask(store, "requests")["totals"]["requests"] == 2


def test_a_new_file_of_an_old_name_is_read_from_its_beginning(store: Store) -> None:
    store.append([record(1)], OLD)
    compact(store, "--settle", "0")
    store.append([record(2), record(3)], OLD)
    assert ask(store, "requests")["totals"]["requests"] == 3
    compact(store)
    (store.incoming / OLD).unlink()
    store.append([record(5), record(6), record(7)], OLD)
    assert ask(store, "requests")["totals"]["requests"] == 6
    assert compact(store)["records"] == 3


def test_a_last_line_that_nobody_ends_is_told_in_the_end(store: Store) -> None:
    path = store.append_bytes(encode(record(1)) + encode(record(2))[:80], OLD)
    assert compact(store)["quarantined"] == 0
    age(path)
    assert compact(store)["quarantined"] == 1
    assert not path.exists()
    assert "1 line in quarantine" in ask(store, "requests")["warnings"][0]


def test_a_last_line_that_is_ended_after_all_is_a_record(store: Store) -> None:
    line = encode(record(2))
    age(store.append_bytes(encode(record(1)) + line[:80], OLD))
    assert compact(store)["quarantined"] == 1
    (hidden,) = store.incoming.iterdir()
    with hidden.open("ab") as writer_that_had_it_open:
        writer_that_had_it_open.write(line[80:] + encode(record(3)))
    row = compact(store, "--settle", "0")
    assert (row["records"], row["quarantined"]) == (2, 0)
    assert ask(store, "requests")["totals"]["requests"] == 3


def test_small_parts_become_one(store: Store) -> None:
    for n in range(1, 8):
        store.append([record(n)])
        compact(store)
    (_part,) = (store.path / "requests" / "date=2026-11-02").glob("*.parquet")
    assert parquet(store, "list(sequence ORDER BY sequence)") == [(list(range(1, 8)),)]
    assert ask(store, "requests")["totals"]["requests"] == 7


def test_a_merged_part_stands_for_those_that_are_still_there(store: Store) -> None:
    """As a compaction leaves it that is killed between making the whole and removing its parts."""
    partition = store.path / "requests" / "date=2026-11-02"
    for n in (1, 2):
        store.compact([record(n)], f"part-00000{n}.parquet")
    store.compact([record(1), record(2)], "part-000001-000002.parquet")
    assert ask(store, "requests")["totals"]["requests"] == 2
    store.append([record(1), record(3)])
    compact(store)
    assert parquet(store, "count(*), count(DISTINCT sequence)") == [(3, 3)]
    assert not (partition / "part-000001.parquet").exists()


def test_days_are_deleted_only_when_asked_for(store: Store) -> None:
    store.append([record(1, received_at="2020-01-01T00:00:00.000000Z"), record(2)])
    access = store.path / "access" / "date=2020-01-01"
    access.mkdir(parents=True)
    (access / "part-000001.parquet").write_bytes(b"")
    compact(store)
    assert ask(store, "requests")["totals"]["requests"] == 2
    assert compact(store, "--keep-requests-days", "400")["days_deleted"] == 1
    assert ask(store, "requests")["totals"]["requests"] == 1
    assert access.exists(), "each kind has its own number of days"
    assert ask(store, "compact", "--keep-access-days", "1")["rows"][1]["days_deleted"] == 1
    assert not access.exists()


def test_two_at_once_exclude_each_other(store: Store) -> None:
    store.append([record(1)])
    compact(store)
    with (store.path / ".compaction.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = run(store, "compact")
    assert second.exit_code == 2
    assert "being compacted by another process" in second.stderr
    assert run(store, "compact").exit_code == 0


def test_what_cannot_be_written_is_one_clear_error_and_loses_nothing(store: Store) -> None:
    """Files may not grow beyond 20 kB, as on a disk that is full."""
    store.append(
        record(n, request_id=os.urandom(16).hex(), end_user=os.urandom(40).hex()) for n in range(2000)
    )
    limited = (
        "import resource, signal, sys; from gateway_analytics.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "sys.argv[1:] = ['compact', '--store', sys.argv[1]]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, store.path], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Nothing is lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert ask(store, "requests")["totals"]["requests"] == 2000
    assert compact(store)["records"] == 2000
    assert [path.name for path in store.path.rglob("*.tmp")] == []


def test_work_is_divided_evenly_among_the_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of nine batches and a bit: one of two workers would be left with the last."""
    monkeypatch.setattr(batches, "GROUP_BYTES", 4_000)
    monkeypatch.setattr(batches, "BATCH_BYTES", 40_000)
    monkeypatch.setattr(housekeeping, "SMALL_BYTES", 0)
    records = 93 * 4_000 // len(encode(record(100)))
    store.append(record(100 + n) for n in range(records))
    compact(store)
    rows = [count for (count,) in parquet(store, "count(*) OVER (PARTITION BY filename)")]
    parts = [rows.count(count) // count for count in set(rows)]
    assert sum(parts) == 8
    assert min(rows) > 0.8 * max(rows)
    assert len(rows) == records


def test_access_records_are_unique_by_host_and_request(store: Store) -> None:
    lines = [
        {
            "schema_version": 1,
            "request_id": f"{n:032x}",
            "received_at": f"2026-11-02T10:00:00.{n:03}Z",
            "host": "balancer-1",
            "client_address": "192.0.2.7",
            "method": "POST",
            "path": "/v1/chat/completions",
            "http_status": 200,
            "request_bytes": 300,
            "response_bytes": 400,
            "duration_ms": 12,
            "upstream_address": "10.0.0.1:5101" if n % 2 else "10.0.0.1:5101, 10.0.0.2:5101",
            "upstream_status": 200 if n % 2 else "502, 200",
            "upstream_connect_ms": 0 if n % 2 else "-, 1",
            "upstream_header_ms": 11 if n % 2 else "-, 11",
            "upstream_ms": 12 if n % 2 else "-, 12",
            "limited": False,
        }
        for n in range(10)
    ]
    directory = store.path / "incoming" / "access"
    directory.mkdir()
    (directory / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *lines[:4]]))
    row = ask(store, "compact")["rows"][1]
    assert (row["kind"], row["records"], row["repeated"], row["quarantined"]) == ("access", 10, 4, 0)
    seen = ", ".join(f"list(DISTINCT upstream_{name} ORDER BY upstream_{name})" for name in ("status", "ms"))
    assert parquet(store, seen, "access") == [(["200", "502, 200"], ["-, 12", "12"])]


@pytest.mark.parametrize("broken", [b"garbage", b"x" * 5000, b'{"schema_version":1,}'])
@pytest.mark.parametrize("place", [0, 40, 79])
def test_a_broken_line_takes_nothing_else_along(
    store: Store, monkeypatch: pytest.MonkeyPatch, broken: bytes, place: int
) -> None:
    """Several groups of lines in one batch, of which one has a broken line."""
    monkeypatch.setattr(batches, "GROUP_BYTES", 20_000)
    lines = [encode(record(n)) for n in range(80)]
    store.append_bytes(b"".join([*lines[:place], broken + b"\n", *lines[place:]]))
    row = compact(store)
    assert (row["records"], row["quarantined"]) == (80, 1)
    assert parquet(store, "count(DISTINCT sequence)") == [(80,)]


def test_a_damaged_manifest_is_named_and_can_be_removed(store: Store) -> None:
    store.append([record(1)])
    store.append_bytes(b"garbage\n")
    compact(store)
    manifest = store.path / "compaction.json"
    manifest.write_text("{")
    for command in ("compact", "requests"):
        result = run(store, command)
        assert result.exit_code == 2
        assert "compaction.json is damaged" in result.stderr
    manifest.unlink()
    assert compact(store)["repeated"] == 1
    assert ask(store, "requests")["totals"]["requests"] == 1


def test_queries_are_right_while_records_arrive_and_are_compacted(store: Store) -> None:
    """A writer, compaction and queries at the same time; old files go, small parts are merged."""
    written = [0]
    done = threading.Event()

    def write() -> None:
        for number in range(12):
            for half in range(2):
                first = number * 40 + half * 20
                store.append((record(n) for n in range(first, first + 20)), f"{number}.jsonl")
                written[0] = first + 20
                done.wait(0.1)

    def compact_again_and_again() -> None:
        while not done.is_set():
            # What is a second old is done with: the writer comes back to a file sooner.
            compact_run.run(store.path, 1, {})

    threads = [threading.Thread(target=write), threading.Thread(target=compact_again_and_again)]
    for thread in threads:
        thread.start()
    try:
        while threads[0].is_alive():
            before = written[0]
            counted = ask(store, "requests")["totals"]["requests"]
            # The writer may be in the midst of its next twenty.
            assert before <= counted <= written[0] + 20
    finally:
        threads[0].join()
        done.set()
        threads[1].join()
    assert ask(store, "requests")["totals"]["requests"] == 480
    for path in store.incoming.glob("*.jsonl"):
        age(path)
    compact(store, "--settle", "1")
    assert parquet(store, "count(*), count(DISTINCT sequence)") == [(480, 480)]


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    result = run(tmp_path, "compact")
    assert result.exit_code == 2
    assert "is no log store" in result.stderr
