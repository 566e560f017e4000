"""How long a record takes from a gateway's disk to the store, where a query finds it.

    PYTHONPATH=tests python -m support.shipping_lag --per-second 500 --seconds 60

Two Fluent Bits in containers, configured by the roles: one reads the spool, the other writes the store.
"""

import argparse
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.records import lines

from support.log_shipping import Shipping, reason_to_skip, shipping

_NAME = "requests/requests-gateway-2-llm-gateway-1-00000000-20261102T10.jsonl"


def main() -> None:
    """Append records at a steady pace, watch them arrive, and print the quantiles of the time between."""
    parser = argparse.ArgumentParser(description="Measure the lag from a gateway's spool to the store.")
    parser.add_argument("--per-second", type=float, default=500.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    if reason := reason_to_skip():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as directory, shipping(Path(directory)) as fleet:
        fleet.store.start()
        fleet.shipper.start()
        lags = _measure(fleet, arguments.per_second, int(arguments.per_second * arguments.seconds))
    lags.sort()
    for name, part in {"p50": 0.5, "p99": 0.99, "longest": 1.0}.items():
        print(f"{name:10} {lags[min(int(part * len(lags)), len(lags) - 1)]:8.2f} s")  # noqa: T201
    print(f"{'records':10} {len(lags):8}")  # noqa: T201


def _measure(fleet: Shipping, per_second: float, number: int) -> list[float]:
    written: list[float] = []
    records = [line for _, _, line in lines(number + 1, per_second, datetime(2026, 11, 2, tzinfo=UTC))]
    path = fleet.spool / _NAME
    path.write_bytes(records[0])
    while not fleet.received(_NAME):
        time.sleep(0.1)

    def write() -> None:
        began = time.monotonic()
        with path.open("ab", buffering=0) as file:
            for position, record in enumerate(records[1:]):
                time.sleep(max(0.0, began + position / per_second - time.monotonic()))
                file.write(record)
                written.append(time.monotonic())

    writer = threading.Thread(target=write)
    writer.start()
    lags: list[float] = []
    with (fleet.incoming / _NAME).open("rb") as store:
        arrived = -1
        while len(lags) < number:
            time.sleep(0.05)
            # Whole lines, as a query counts them.
            arrived += store.read().count(b"\n")
            now = time.monotonic()
            lags += [now - at for at in written[len(lags) : arrived]]
    writer.join()
    return lags


if __name__ == "__main__":
    main()
