"""Compactions that are killed, at a step or at a moment, and what a store holds after them.

Run it for a long series: `python -m support.killed_compaction --steps 500 --moments 100`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import duckdb

from gateway_analytics import batches, housekeeping
from gateway_analytics.compact_run import run as compact
from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record

_WATCHED = (
    *("batches", "bulk", "compact_run", "compaction", "housekeeping", "manifest", "parts", "quarantine"),
    *("totals", "totals_run"),
)
_BROKEN = (b"garbage", b'{"schema_version":1,"cut', b"\0\0\0")


def make_store(path: Path) -> Store:
    """A store with all that compaction meets: 400 calls of three days, some twice, and broken lines."""
    store = Store(path)
    records = [
        record(n, received_at=f"2026-11-0{1 + n % 3}T10:{n % 60:02}:00.{n:06}Z", boot_id=f"boot-{n % 4}")
        for n in range(400)
    ]
    for number in range(3):
        store.append(records[number * 20 : number * 20 + 20], f"old-{number}.jsonl")
        compact(path, 0, {})
    for number in range(6):
        some = records[number * 60 : number * 60 + 100]
        lines = [encode(one) for one in some]
        lines.insert(50, _BROKEN[number % 3] + b"\n")
        lines.insert(70, _BROKEN[1] + lines[70])
        store.append_bytes(b"".join(lines), f"new-{number}.jsonl")
    return store


EXPECTED = {
    "calls": 400,
    # Six lines that are broken as a whole, and six that stand before a record.
    "quarantined": Counter({"garbage": 2, '{"schema_version":1,"cut': 8, "\0\0\0": 2}),
}


def copy(store: Store, path: Path) -> Store:
    """The same store in another place."""
    shutil.copytree(store.path, path)
    return Store(path)


def answers(store: Store) -> dict[str, Any]:
    """What a query says: calls by day."""
    answer = ask(store, "requests", "--by", "day")
    return {row["day"]: row["requests"] for row in answer["rows"]}


def contents(store: Store) -> dict[str, Any]:
    """What the files hold: keys in Parquet, lines in quarantine, files in incoming and others."""
    keys = duckdb.sql(
        f"SELECT boot_id, sequence FROM read_parquet('{store.path}/requests/*/*.parquet')"
    ).fetchall()
    entries = [
        json.loads(line)
        for path in (store.path / "quarantine").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    return {
        "records": len(keys),
        "unique": len(set(keys)),
        "quarantined": Counter(entry["line"] for entry in entries),
        "places": len({(entry["file"], entry["offset"]) for entry in entries}),
        "incoming": sorted(path.name for path in store.incoming.iterdir()),
        "temporary": sorted(path.name for path in store.path.rglob("*.tmp")),
    }


DONE = {
    "records": EXPECTED["calls"],
    "unique": EXPECTED["calls"],
    "quarantined": EXPECTED["quarantined"],
    "places": 12,
    "incoming": [],
    "temporary": [],
}


def compact_until(store: Store, *, step: int = 0, seconds: float = 0.0) -> int:
    """Compact in a process of its own, and kill that at a step or after a time; return the steps it took.

    A step is a line of compaction's own code. 0 where it was killed before its end.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            # Several batches, and merging, also with few records.
            batches.GROUP_BYTES, batches.BATCH_BYTES = 120_000, 180_000
            housekeeping.SMALL_PARTS = 2
            steps = _watch(step)
            compact(store.path, 0, {})
            sys.settrace(None)
            os.write(writer, str(len(steps)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as pipe:
        taken = int(pipe.read() or 0)
    _, status = os.waitpid(child, 0)
    assert taken or os.WIFSIGNALED(status), f"the compaction failed: {status}"
    return taken


def _watch(step: int) -> list[None]:
    """Count the steps of this process, in all its threads, and end it at one of them."""
    steps: list[None] = []
    package = str(Path(batches.__file__).parent)
    watched = {f"{package}/{name}.py" for name in _WATCHED}

    def line(_frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            steps.append(None)
            if len(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, _event: str, _argument: object) -> Any:
        return line if frame.f_code.co_filename in watched else None

    threading.settrace(call)
    sys.settrace(call)
    return steps


def check(template: Store, directory: Path, *, step: int = 0, seconds: float = 0.0) -> bool:
    """Kill one compaction of a copy, ask it, finish it, and ask again; return whether it was killed."""
    store = copy(template, directory)
    before = answers(template)
    killed = compact_until(store, step=step, seconds=seconds) == 0
    assert answers(store) == before, f"after a kill at step {step}, {seconds} s"
    compact_until(store)
    assert answers(store) == before
    assert contents(store) == DONE, f"after a kill at step {step}, {seconds} s"
    shutil.rmtree(directory)
    return killed


def main() -> None:
    """Kill many compactions; end with an error where one of them left a wrong store."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=500, help="kills at steps, evenly over all of them")
    parser.add_argument("--moments", type=int, default=100, help="kills at random moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        template = make_store(Path(directory) / "template")
        began = time.monotonic()
        steps = compact_until(copy(template, Path(directory) / "whole"))
        duration = time.monotonic() - began
        killed = 0
        for number in range(arguments.steps):
            step = 1 + number * steps // arguments.steps
            killed += check(template, Path(directory) / f"step-{step}", step=step)
        for number in range(arguments.moments):
            seconds = random.uniform(0.001, duration)
            killed += check(template, Path(directory) / f"moment-{number}", seconds=seconds)
        print(f"{killed} compactions killed, {steps} steps each: every record once, every time")  # noqa: T201


if __name__ == "__main__":
    main()
