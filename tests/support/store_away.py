"""What becomes of the records that are written while the store is away, for an hour or longer.

    make store-away
    make store-away AWAY="--minutes 10 --per-second 500"

Two Fluent Bits in containers, configured by the roles: one reads the spool, the other, once it is back,
writes the store. A new spool file begins every ten minutes, and the shipper is killed in the middle.
Exit codes: 0 the store has every record once; 1 it has not.
"""

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.records import lines

from support.log_shipping import Shipping, reason_to_skip, shipping

_FILE_S = 600
_ARRIVAL_S = 1800


def main() -> int:
    """Write, let the store come back, and count."""
    parser = argparse.ArgumentParser(description="Write records while the store is away, and count.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--per-second", type=float, default=150.0)
    arguments = parser.parse_args()
    if reason := reason_to_skip():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as directory, shipping(Path(directory)) as fleet:
        fleet.store.start()
        fleet.shipper.start()
        written, longest_s = _write(fleet, 60 * arguments.minutes, arguments.per_second)
        buffered = fleet.buffered_bytes()
        back = time.monotonic()
        fleet.store.start()
        while (arrived := sum(map(_count, fleet.incoming.rglob("*.jsonl")))) < written:
            if time.monotonic() - back > _ARRIVAL_S:
                break
            time.sleep(0.5)
        took_s = time.monotonic() - back
        lost = doubled = 0
        for path in sorted(fleet.spool.rglob("*.jsonl")):
            there = fleet.received(f"requests/{path.name}")
            known = set(there)
            doubled += len(there) - len(known)
            lost += sum(1 for line in path.read_bytes().splitlines() if line not in known)
    print(  # noqa: T201
        f"away {arguments.minutes:g} min; written {written:,}; longest append {1000 * longest_s:.1f} ms;"
        f" in the shipper's buffer {buffered / 1e6:.0f} MB\n"
        f"back: {arrived:,} lines after {took_s:.0f} s; lost {lost:,}; lines that came twice {doubled:,}"
    )
    return 1 if lost else 0


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _write(fleet: Shipping, seconds: float, per_second: float) -> tuple[int, float]:
    """Append records; return how many, and the seconds that the longest append took."""
    number, longest_s, killed = int(seconds * per_second), 0.0, False
    began = time.monotonic()
    away = False
    for position, (_, _, record) in enumerate(lines(number, per_second, datetime(2026, 11, 2, tzinfo=UTC))):
        due_s = position / per_second
        time.sleep(max(0.0, began + due_s - time.monotonic()))
        if not away and due_s > 5:
            fleet.store.kill()
            away = True
        if not killed and due_s > seconds / 2:
            fleet.shipper.kill()
            fleet.shipper.start()
            killed = True
        path = fleet.spool / f"requests/requests-gateway-2-llm-gateway-1-{int(due_s // _FILE_S):08}.jsonl"
        before = time.perf_counter()
        with path.open("ab", buffering=0) as file:
            file.write(record)
        longest_s = max(longest_s, time.perf_counter() - before)
    return number, longest_s


if __name__ == "__main__":
    sys.exit(main())
