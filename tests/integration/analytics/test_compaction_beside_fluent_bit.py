"""Compaction takes files away under a real Fluent Bit that goes on writing."""

from functools import partial
from pathlib import Path

import pytest

from gateway_analytics import compact_run
from gateway_contracts.request_record import encode
from support.analytics_store import Store, ask, record
from support.fleet import wait_until
from support.log_shipping import reason_to_skip, shipping

NAME = "requests-gateway-2-llm-gateway-1-00000000-20261102T10.jsonl"
REASON = reason_to_skip()
pytestmark = pytest.mark.skipif(REASON is not None, reason=REASON or "")


def arrived(store: Store, number: int) -> bool:
    count: int = ask(store, "requests")["totals"]["requests"]
    return count == number


def test_what_arrives_after_a_file_was_taken_away_is_found(tmp_path: Path) -> None:
    with shipping(tmp_path) as fleet:
        store = Store(tmp_path)
        fleet.store.start()
        fleet.shipper.start()
        for number in range(1, 4):
            with (fleet.spool / "requests" / NAME).open("ab") as spool:
                spool.write(encode(record(number)))
            wait_until(partial(arrived, store, number), 60, f"record {number} in the store")
            # Out of sight and removed at once: nobody has the file open.
            compact_run.run(tmp_path, 0, {})
            assert list(store.incoming.iterdir()) == []
        assert ask(store, "requests")["totals"]["requests"] == 3
