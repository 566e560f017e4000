"""What goes when the spool has no room: shipped files first, then the oldest unshipped ones, counted."""

import os
import runpy
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.roles import ROLES

MEGABYTE = 1024 * 1024
LINE = b"x" * 1023 + b"\n"
HUGE = 2**40  # megabytes that no disk has free


class Spool:
    """A spool with a file of one megabyte an hour, the oldest first, and the offsets of a shipper."""

    def __init__(self, directory: Path, files: int, shipped: int) -> None:
        self.spool, self.state = directory / "spool", directory / "state"
        (self.spool / "requests").mkdir(parents=True)
        self.state.mkdir()
        database = sqlite3.connect(self.state / "offsets.db")
        database.execute("CREATE TABLE in_tail_files (name TEXT, offset INTEGER)")
        for number in range(files):
            path = self.spool / "requests" / f"requests-{number}.jsonl"
            path.write_bytes(LINE * 1024)
            at = time.time() - 3600 * (files - number)
            os.utime(path, (at, at))
            read = MEGABYTE if number < shipped else MEGABYTE // 4
            database.execute(
                "INSERT INTO in_tail_files VALUES (?, ?)", (f"/spool/requests/{path.name}", read)
            )
        database.commit()
        database.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(ROLES / "log_shipper/files/llm-gateway-spool"), *arguments]
        return subprocess.run(
            [*command, "--spool", str(self.spool), "--state", str(self.state)],
            capture_output=True,
            text=True,
            check=False,
        )

    def make_room(self, keep: int, reserve: int) -> subprocess.CompletedProcess[str]:
        return self.run("--make-room", f"--keep-megabytes={keep}", f"--reserve-megabytes={reserve}")

    def left(self) -> list[int]:
        names = (path.stem for path in (self.spool / "requests").iterdir())
        return sorted(int(name.removeprefix("requests-")) for name in names)


def test_half_a_line_that_a_killed_writer_left_waits_for_nobody(tmp_path: Path) -> None:
    spool = Spool(tmp_path, files=2, shipped=2)
    for number in (0, 1):
        with (spool.spool / "requests" / f"requests-{number}.jsonl").open("ab") as file:
            file.write(b'{"half' + (b'"}\n{"half' if number else b""))
    done = spool.run()
    assert (done.returncode, done.stdout) == (1, "requests/requests-1.jsonl  9 bytes unread\n")


def test_with_room_nothing_goes_and_nothing_is_said(tmp_path: Path) -> None:
    spool = Spool(tmp_path, files=6, shipped=6)
    done = spool.make_room(keep=10, reserve=0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert spool.left() == [0, 1, 2, 3, 4, 5]


def test_the_oldest_shipped_files_go_until_the_spool_is_small_enough(tmp_path: Path) -> None:
    spool = Spool(tmp_path, files=6, shipped=4)
    assert spool.make_room(keep=3, reserve=0).returncode == 0
    assert spool.left() == [3, 4, 5]


@pytest.mark.parametrize("keep", [0, 1])
def test_unshipped_files_stay_while_there_is_space(tmp_path: Path, keep: int) -> None:
    spool = Spool(tmp_path, files=6, shipped=2)
    done = spool.make_room(keep, reserve=0)
    assert done.returncode == 0
    assert spool.left() == [2, 3, 4, 5]
    assert "MB wait to be shipped" in done.stdout  # the warning comes early


def test_without_space_unshipped_files_go_too_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, files=4, shipped=1)
    just_now = spool.spool / "requests" / "requests-3.jsonl"
    os.utime(just_now)

    done = spool.make_room(keep=100, reserve=HUGE)

    assert done.returncode == 1
    assert spool.left() == [3]  # which is being written
    assert done.stdout.splitlines()[:3] == [
        "<5>removed requests/requests-0.jsonl",
        "<3>dropped requests/requests-1.jsonl: 768 unshipped lines, no room",
        "<3>dropped requests/requests-2.jsonl: 768 unshipped lines, no room",
    ]
    assert "1536 unshipped lines were ever dropped" in spool.run().stdout


def test_what_is_shipped_again_is_forgotten_while_the_shipper_stands(tmp_path: Path) -> None:
    spool = Spool(tmp_path, files=4, shipped=4)
    script = runpy.run_path(str(ROLES / "log_shipper/files/llm-gateway-spool"))
    told: list[tuple[str, dict[str, int]]] = []

    def read(*numbers: int) -> dict[str, int]:
        return {f"requests/requests-{number}.jsonl": MEGABYTE for number in numbers}

    def docker(what: str, *_: str) -> None:
        told.append((what, script["offsets"](spool.state)))

    ship_again = script["ship_again"]
    ship_again.__globals__["docker"] = docker
    assert ship_again(spool.spool, spool.state, 2.5 * 3600) == 2
    assert told == [("stop", read(0, 1, 2, 3)), ("start", read(0, 1))]
