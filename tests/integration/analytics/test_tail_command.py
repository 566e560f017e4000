"""`gateway-analytics tail`: the newest calls, and those that arrive."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record, run

PROGRAM = str(Path(sys.executable).with_name("gateway-analytics"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.append([record(n, received_at=f"2026-11-02T10:00:{n:02}.000000Z") for n in range(1, 21)])
    return store


def test_the_newest_calls_come_last(store: Store) -> None:
    rows = ask(store, "tail", "--limit", "3")["rows"]
    assert [row["request_id"] for row in rows] == ["request-0018", "request-0019", "request-0020"]


def test_calls_appear_as_they_arrive_whole_and_once(store: Store) -> None:
    arguments = ["tail", "-f", "--stop-after", "2", "--limit", "1", "--format", "jsonl", "--status", "2xx"]
    with subprocess.Popen(
        [PROGRAM, *arguments, "--store", str(store.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["request_id"] == "request-0020"
            new = store.append([record(21, http_status=500), record(22, final=False)], "new.jsonl")
            store.append([record(23)], "other.jsonl")
            line = encode(record(24))
            with new.open("ab") as file:
                file.write(line[:100])
                file.flush()
                assert json.loads(process.stdout.readline())["request_id"] == "request-0023"
                file.write(line[100:])
            shown = json.loads(process.stdout.readline())
            assert (shown["request_id"], shown["status"]) == ("request-0024", 200)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_following_writes_lines(store: Store) -> None:
    result = run(store, "tail", "-f", "--format", "json")
    assert result.exit_code == 2
    assert "jsonl" in result.stderr
