"""llm-gateway-spool tells what of the spool is in the store, with the real Fluent Bit between them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.fleet import wait_until
from support.log_shipping import Shipping, reason_to_skip, shipping
from support.roles import ROLES

SKIPPED = reason_to_skip()
pytestmark = pytest.mark.skipif(SKIPPED is not None, reason=str(SKIPPED))

OLD, NEW = "requests/requests-gateway-2-w1-T00.jsonl", "access/access-gateway-2-T01.jsonl"


def spool(ship: Shipping, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(ROLES / "log_shipper/files/llm-gateway-spool"), *arguments]
    return subprocess.run(
        [*command, "--spool", str(ship.spool), "--state", str(ship.buffer.parent)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def append(ship: Shipping, name: str, *lines: bytes) -> None:
    with (ship.spool / name).open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))


def test_nothing_counts_as_shipped_before_the_store_has_it(tmp_path: Path) -> None:
    with shipping(tmp_path) as ship:
        append(ship, OLD, b'{"a": 1}', b'{"a": 2}')
        week_ago = time.time() - 7 * 86400
        os.utime(ship.spool / OLD, (time.time(), week_ago))

        unread = spool(ship)
        assert (unread.returncode, unread.stdout) == (1, f"{OLD}  18 bytes unread\n")

        ship.shipper.start()  # the store is away
        wait_until(
            lambda: spool(ship).stdout == f"{OLD}  read, not yet acknowledged\n", 60, "the shipper holds it"
        )
        assert spool(ship, "--older-than", "6").returncode == 1
        assert spool(ship, "--older-than", "8").returncode == 0

        ship.store.start()
        wait_until(lambda: spool(ship).returncode == 0, 60, "everything is acknowledged")
        # The store acknowledges what is in its own buffer; its file follows.
        wait_until(lambda: ship.received(OLD) == [b'{"a": 1}', b'{"a": 2}'], 60, "the lines in the store")

        ship.shipper.kill()
        append(ship, NEW, b'{"a": 3}')
        waits = spool(ship)
        assert (waits.returncode, waits.stdout) == (1, f"{NEW}  9 bytes unread\n")
        # What is new does not keep what is old.
        assert spool(ship, "--older-than", "6").stdout == "nothing waits: all of it is in the store\n"


def test_a_database_that_is_none(tmp_path: Path) -> None:
    with shipping(tmp_path) as ship:
        append(ship, OLD, b"{}")
        (ship.buffer.parent / "offsets.db").write_bytes(b"no database" * 1000)
        done = spool(ship)
        assert done.returncode == 255
        assert "file is not a database" in done.stderr
