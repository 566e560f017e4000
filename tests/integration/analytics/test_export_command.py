"""`gateway-analytics export --focus`: charges that add up to the costs."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path

from support.analytics_store import Store, ask, record, run


def test_charges_add_up_to_the_costs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.append(
        [
            record(1, api_key_id="a", end_user="=1+2"),
            record(2, api_key_id="b", received_at="2026-12-31T23:59:59.000000Z"),
            record(3, request_model="home-made", response_model=None),
            record(4, response_model="gpt-6-sol", input_tokens=10**9 + 7),
        ]
    )
    text = run(store, "export", "--focus").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(
        ask(store, "costs")["totals"]["cost_usd"]
    )
    assert {row["ServiceName"] for row in rows} == {"gpt-4o-2024-08-06", "gpt-6-sol"}
    last = next(row for row in rows if row["SubAccountId"] == "b")
    assert [
        last[name]
        for name in ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
    ] == [
        "2026-12-31T00:00:00Z",
        "2027-01-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ]
    assert json.loads(last["Tags"]) == {"api_key": "b", "endpoint": "chat"}
    assert "home-made" in run(store, "export", "--focus").stderr
