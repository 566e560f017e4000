"""The spool: one append a moment, a file an hour, and a file system that does not always play along."""

import asyncio
import calendar
import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gateway_contracts.request_record import problem
from gateway_serve.request_log import RequestLog
from support.least_record import IDENTITY, RECORD


@pytest.fixture
def log(tmp_path: Path) -> RequestLog:
    return RequestLog(str(tmp_path), "host-1", "gw-1", IDENTITY)


def records(directory: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for file in sorted(directory.iterdir()) for line in file.read_bytes().splitlines()
    ]


def write(log: RequestLog, calls: int = 1, **values: Any) -> None:
    """Let so many calls end at once, each with a record."""

    async def end() -> None:
        await asyncio.gather(*(log.write([RECORD | values]) for _ in range(calls)))

    asyncio.run(end())


def no_space(*_: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    seconds = float(calendar.timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%S")))
    monkeypatch.setattr(time, "time", lambda: seconds)


def test_records_of_a_process_are_numbered_and_named(log: RequestLog, tmp_path: Path) -> None:
    for _ in range(3):
        write(log)
    written = records(tmp_path)
    assert [record["sequence"] for record in written] == [1, 2, 3]
    assert {record["boot_id"] for record in written} == {log.boot_id}
    assert all(problem(record) is None for record in written)
    assert written[0]["host"] == "host-1"
    assert written[0]["instance"] == "gw-1"
    assert written[0]["config_digest"] == "0123456789ab"


def test_calls_that_end_at_once_share_an_append(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, appends = os.write, []

    def watched(descriptor: int, data: bytes) -> int:
        appends.append(data.count(b"\n"))
        return append(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    write(log, calls=5)
    write(log)
    assert [lines for lines in appends if lines] == [5, 1]
    assert [record["sequence"] for record in records(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_call_goes_on_once_its_record_is_written_whoever_else_is_cancelled(
    log: RequestLog, tmp_path: Path
) -> None:
    async def end() -> None:
        cut, whole = (asyncio.create_task(log.write([dict(RECORD)])) for _ in range(2))
        await asyncio.sleep(0)
        cut.cancel()
        await whole
        assert len(records(tmp_path)) == 2
        assert cut.cancelled()

    asyncio.run(end())


def test_what_waits_when_a_process_ends_is_written(log: RequestLog, tmp_path: Path) -> None:
    async def end() -> None:
        waiting = asyncio.create_task(log.write([dict(RECORD)]))
        await asyncio.sleep(0)
        log.close()
        assert len(records(tmp_path)) == 1
        await waiting

    asyncio.run(end())


def test_each_utc_hour_has_its_file(log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in (
        "2026-03-01T23:59:59",
        "2026-03-02T00:00:00",
        "2026-03-02T00:59:59",
        "2026-03-02T01:00:00",
    ):
        at(monkeypatch, moment)
        write(log)
    start = f"requests-host-1-gw-1-{log.boot_id[:8]}-"
    lines = {file.name: len(file.read_bytes().splitlines()) for file in tmp_path.iterdir()}
    assert lines == {
        f"{start}20260301T23.jsonl": 1,
        f"{start}20260302T00.jsonl": 2,
        f"{start}20260302T01.jsonl": 1,
    }


def test_a_forked_process_is_a_boot_of_its_own(log: RequestLog, tmp_path: Path) -> None:
    write(log)
    before = log.boot_id
    log.begin_process()
    write(log)
    assert log.boot_id != before
    assert [record["sequence"] for record in records(tmp_path)] == [1, 1]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_spool_means_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(RequestLog(None, "host-1", "gw-1", IDENTITY))
    assert list(tmp_path.iterdir()) == []


def test_standard_output_gets_whole_lines(capfd: pytest.CaptureFixture[str]) -> None:
    write(RequestLog("-", "host-1", "gw-1", IDENTITY), calls=3)
    assert [problem(json.loads(line)) for line in capfd.readouterr().out.splitlines()] == [None] * 3


def test_records_wait_for_a_spool_that_is_unwritable_which_is_told_once(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write(log)
    with monkeypatch.context() as full:
        full.setattr(os, "write", no_space)
        for _ in range(3):
            write(log)
    write(log)
    assert [record["sequence"] for record in records(tmp_path)] == [1, 2, 3, 4, 5]
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["ERROR", "WARNING"]
    assert "sequence 2" in told[0][1]
    assert "No space left on device" in told[0][1]
    assert "written again from sequence 2" in told[1][1]


def test_what_waits_is_bounded_and_the_gap_shows_the_rest(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "write", no_space)
        write(log, calls=12_000)
    write(log)
    write(log)
    sequences = [record["sequence"] for record in records(tmp_path)]
    assert sequences == [*range(1, 10_001), 12_001, 12_002]


def test_what_waits_is_written_without_another_call(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def end_and_wait() -> None:
        with monkeypatch.context() as full:
            full.setattr(os, "write", no_space)
            await log.write([dict(RECORD)])
        begun = time.monotonic()
        while not records(tmp_path):
            await asyncio.sleep(0.05)
            assert time.monotonic() < begun + 60

    asyncio.run(end_and_wait())
    assert [record["sequence"] for record in records(tmp_path)] == [1]


def test_a_record_that_can_not_be_encoded_costs_only_itself(log: RequestLog, tmp_path: Path) -> None:
    write(log, end_user="\ud800", http_status=None)
    write(log)
    assert [record["sequence"] for record in records(tmp_path)] == [2]


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_disk_that_takes_half_a_record_tears_no_line(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    append = os.write
    write(log)
    (file,) = tmp_path.iterdir()
    room = file.stat().st_size * 3 // 2

    def almost_full(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = append(descriptor, data[:room])
        room -= taken
        return taken

    with monkeypatch.context() as full:
        full.setattr(os, "write", almost_full)
        write(log, calls)  # one fits whole, one in part
        write(log, 4 - calls)
    write(log)
    written = records(tmp_path)  # every line is JSON
    assert [record["sequence"] for record in written] == [1, 2, 3, 4, 5, 6]


def test_a_half_written_record_is_finished_before_the_next_hours_file(
    log: RequestLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = os.write
    at(monkeypatch, "2026-03-01T23:59:59")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, data: append(descriptor, data[:100]))
        write(log)
    at(monkeypatch, "2026-03-02T00:00:00")
    write(log)
    assert [record["sequence"] for record in records(tmp_path)] == [1, 2]


def test_flushing_happens_beside_the_work_and_at_most_once_a_second(
    log: RequestLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, threads = os.fsync, []

    def watched(descriptor: int) -> None:
        threads.append(threading.current_thread())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    log.begin_process()
    begun = time.monotonic()
    while len(threads) < 2:
        write(log)
        assert time.monotonic() < begun + 60
    assert len(threads) <= time.monotonic() - begun + 1
    assert threading.current_thread() not in threads
    log.close()
    assert threading.current_thread() in threads  # nothing is left to chance at the end


def test_a_file_that_is_removed_in_use_is_begun_again(log: RequestLog, tmp_path: Path) -> None:
    log.begin_process()
    write(log)
    (file,) = tmp_path.iterdir()
    file.unlink()
    begun = time.monotonic()
    while not file.exists():
        write(log)
        time.sleep(0.02)
        assert time.monotonic() < begun + 60
    log.close()
    assert records(tmp_path)
