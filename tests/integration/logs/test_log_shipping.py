"""The real Fluent Bit between a spool and a store: every line arrives as written, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fleet import wait_until
from support.log_shipping import Shipping, reason_to_skip, shipping

SKIPPED = reason_to_skip()
pytestmark = pytest.mark.skipif(SKIPPED is not None, reason=str(SKIPPED))

HOURS, WORKERS, PER_FILE = 5, 4, 1000


def line(name: str, sequence: int, padding: int) -> bytes:
    return json.dumps({"boot_id": name, "sequence": sequence, "pad": "x" * padding}).encode()


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def append(shipping: Shipping, name: str, lines: list[bytes]) -> None:
    with (shipping.spool / name).open("ab", buffering=0) as file:
        file.write(b"".join(item + b"\n" for item in lines))


def test_lines_arrive_byte_for_byte_in_the_file_of_the_same_name(tmp_path: Path) -> None:
    longest = b'{"pad": "' + b"y" * (4095 - 11) + b'"}'
    odd = [
        b'{"f": 1.50, "e": "\\u00e9 \\/", "u": "\xc3\xa9"}',
        b"no JSON at all",
        b"\xff\xfe not UTF-8",
        longest,
        b'{"last": null}',
    ]
    written = {
        f"requests/requests-10.3.49.202-gw_1-{hour}.jsonl": [*odd, str(hour).encode()]
        for hour in ("T01", "T02")
    }
    written["access/access-10.3.49.202-T01.jsonl"] = odd
    with shipping(tmp_path) as ship:
        for name, lines in written.items():
            append(ship, name, lines)
        # A line that is being written is no line yet.
        with (ship.spool / "requests" / "requests-10.3.49.202-gw_1-T02.jsonl").open("ab") as file:
            file.write(b'{"half')
        ship.store.start()
        ship.shipper.start()
        wait_until(lambda: ship.missing(written) == 0, 60, "every line in the store")
        stored = {str(path.relative_to(ship.incoming)): ship.received(str(path.relative_to(ship.incoming)))
                  for path in ship.incoming.rglob("*.jsonl")}  # fmt: skip
    assert stored == written


def test_nothing_is_lost_or_made_up_when_either_side_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    dice = random.Random(20260101)
    written: dict[str, list[bytes]] = {}

    def write(ship: Shipping) -> None:
        for hour in range(HOURS):
            names = [f"requests/requests-gateway-2-w{worker}-T{hour:02}.jsonl" for worker in range(WORKERS)]
            files = [os.open(ship.spool / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in names]
            for sequence in range(PER_FILE):
                for name, file in zip(names, files, strict=True):
                    text = line(name, sequence, dice.choice([300, 500, 700, 3900]))
                    os.write(file, text + b"\n")
                    written.setdefault(name, []).append(text)
                if sequence % 50 == 0:
                    time.sleep(0.05)  # the pace of the load, nothing is waited for
            for file in files:
                os.close(file)

    with shipping(tmp_path) as ship:
        ship.store.start()
        ship.shipper.start()
        writer = threading.Thread(target=write, args=(ship,))
        writer.start()
        kills = 0
        while writer.is_alive() or kills < 4:
            time.sleep(dice.uniform(0.2, 1.0))  # at any moment
            victim = (ship.store, ship.shipper)[kills % 2]
            before = sum(path.stat().st_size for path in ship.incoming.rglob("*.jsonl"))
            victim.kill()
            victim.start()
            kills += 1
            wait_until(
                lambda before=before: (
                    ship.missing(written) == 0
                    or sum(path.stat().st_size for path in ship.incoming.rglob("*.jsonl")) > before
                ),
                60,
                "shipping goes on after a kill",
            )
        writer.join()
        wait_until(lambda: ship.missing(written) == 0, 180, "every line in the store")
        received = {name: Counter(ship.received(name)) for name in written}

    assert sum(map(len, written.values())) == HOURS * WORKERS * PER_FILE
    for name, lines in written.items():
        known = set(lines)
        # A kill in the midst of a write leaves a cut line, which readers set aside; nothing else may appear.
        made_up = [text for text in received[name] if text not in known and is_json(text)]
        assert not made_up, f"{name} holds lines that were never written"
    # What was written but not yet noted as such comes again; readers make it unique by (boot_id, sequence).
    doubled = sum(sum(counts.values()) - len(counts) for counts in received.values())
    record_property("doubled_lines", doubled)
    record_property("kills", kills)


def test_a_store_that_is_away_neither_fills_the_disk_nor_loses_a_line(tmp_path: Path) -> None:
    names = [f"requests/requests-gateway-2-w{worker}-T00.jsonl" for worker in range(WORKERS)]
    written = {name: [line(name, sequence, 1500) for sequence in range(5000)] for name in names}
    size = sum(len(item) + 1 for lines in written.values() for item in lines)
    with shipping(tmp_path, log_shipper_buffer_megabytes=8) as ship:
        ship.shipper.start()
        for name, lines in written.items():
            append(ship, name, lines)
        wait_until(
            lambda: "paused (storage buf overlimit" in ship.shipper.log, 120, "a full buffer pauses reading"
        )
        assert ship.buffered_bytes() < size / 2
        ship.shipper.kill()
        ship.shipper.start()
        ship.store.start()
        wait_until(lambda: ship.missing(written) == 0, 180, "every line in the store")
        # The kill can let a line come twice; readers make them unique.
        assert {name: set(ship.received(name)) for name in names} == {
            name: set(lines) for name, lines in written.items()
        }


@pytest.mark.parametrize(
    ("names", "content", "complaint"),
    [
        (["ca.crt"], None, "certificate verify failed"),  # the shipper knows another authority
        (["client.crt", "client.key"], None, "certificate verify failed"),  # the store does
        (["shared_key"], "another key", "shared_key mismatch"),
    ],
)
def test_a_store_or_a_shipper_that_is_not_the_one_expected_gets_nothing(
    tmp_path: Path, names: list[str], content: str | None, complaint: str
) -> None:
    written = {"requests/requests-gateway-2-w1-T00.jsonl": [line("w1", number, 300) for number in range(10)]}
    with shipping(tmp_path / "expected") as ship, shipping(tmp_path / "other") as other:
        right = {name: (ship.client_files / name).read_text() for name in names}
        for name in names:
            (ship.client_files / name).write_text(content or (other.client_files / name).read_text())
        for path, lines in written.items():
            append(ship, path, lines)
        ship.store.start()
        ship.shipper.start()
        wait_until(
            lambda: complaint in ship.shipper.log + ship.store.log, 60, f"a complaint of {complaint!r}"
        )
        assert ship.missing(written) == 10
        # Corrected, it goes on with what it held back.
        ship.shipper.kill()
        for name, text in right.items():
            (ship.client_files / name).write_text(text)
        ship.shipper.start()
        wait_until(lambda: ship.missing(written) == 0, 60, "every line in the store")


def test_a_shipper_without_a_certificate_is_refused(tmp_path: Path) -> None:
    written = {"requests/requests-gateway-2-w1-T00.jsonl": [line("w1", number, 300) for number in range(10)]}
    with shipping(tmp_path) as ship:
        config = ship.client_files / "fluent-bit.yaml"
        right = config.read_text()
        config.write_text(
            "".join(
                text
                for text in right.splitlines(keepends=True)
                if "tls.crt_file" not in text and "tls.key_file" not in text
            )
        )
        for path, lines in written.items():
            append(ship, path, lines)
        ship.store.start()
        ship.shipper.start()
        wait_until(lambda: "peer did not return a certificate" in ship.store.log, 60, "the store refuses it")
        assert ship.missing(written) == 10
        ship.shipper.kill()
        config.write_text(right)
        ship.shipper.start()
        wait_until(lambda: ship.missing(written) == 0, 60, "every line in the store")
