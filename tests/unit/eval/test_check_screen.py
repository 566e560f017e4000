"""What a check looks like, to the byte, and what it makes of a fleet and its store."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway_eval.check_screen import as_screen, disagreements
from gateway_eval.failure import Failure, FailureClass
from gateway_eval.health import Health
from gateway_eval.host_status import HostStatus
from gateway_eval.hosts import Host
from gateway_eval.store_status import StoreStatus, ask_store
from gateway_eval.target import Endpoint
from support.evaluation_run import NOON
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")
CHAT = Endpoint("chat", "chat", "openai", "gpt-4o")
TLS = {
    "version": "TLSv1.3",
    "subject": "gateway.example",
    "issuer": "Example CA",
    "expires_at": (NOON + timedelta(days=9)).timestamp(),
}


def status(name: str, role: str | None = None, **more: Any) -> HostStatus:
    fields: dict[str, Any] = {
        "api": "mlflow",
        "endpoints": (CHAT, Endpoint("own", "chat")),
        "health": Health(True, "/health", 200, 1.4, facts={"spool": "ok"}),
        "version": "0.1.0",
        "asked_at": NOON,
    }
    return HostStatus(Host(f"https://{name}", name, role), **(fields | more))


def test_one_host() -> None:
    one = status("gateway.example", health=Health(True, "/health", 200, 1.4, tls=TLS), key="accepted")
    assert_golden(GOLDEN / "check.txt", as_screen([one]))
    assert one.warnings == ["gateway.example: the certificate expires in 9 days"]
    assert one.as_dict()["tls"]["expires_at"] == "2026-12-02T12:00:00.000000Z"


def fleet() -> list[HostStatus]:
    refused = Failure.of(FailureClass.NETWORK, "connection refused")
    sick = Failure.of(FailureClass.GATEWAY, "/health says HTTP 503: draining", http_status=503)
    unwell = Health(False, "/health", 503, 1.1, failure=sick)
    return [
        status("gateway-1", "load_balancer", health=Health(True, "/health", 200, 2.5, tls=TLS)),
        status("gateway-1/1", "gateway"),
        status("gateway-1/2", "gateway", version="0.0.9", endpoints=(CHAT,)),
        status("gateway-2/1", "gateway", health=unwell, failure=sick),
        HostStatus(Host("http://10.0.0.3:5101", "gateway-3/1", "gateway"), failure=refused, asked_at=NOON),
    ]


def test_a_fleet_with_its_store() -> None:
    store = StoreStatus(Path("/var/lib/llm-gateway/store"), 3.2, {"gateway-1": 3.2, "gateway-2": 5400.0})
    assert_golden(GOLDEN / "check_fleet.txt", as_screen(fleet(), store))


def test_json_of_a_fleet() -> None:
    rows = [host.as_dict() for host in fleet()]
    assert_golden(GOLDEN / "check_fleet.json", json.dumps(rows, indent=2) + "\n")


def test_containers_that_differ_are_named() -> None:
    assert disagreements(fleet()[:2]) == []
    twins = [status(f"gateway-1/{n}", "gateway") for n in (1, 2, 3)]
    odd = dataclasses.replace(twins[2], version="0.0.9", endpoints=(CHAT,))
    silent = dataclasses.replace(twins[2], version=None)
    assert disagreements([*twins[:2], silent]) == [], "unknown is not different"
    assert disagreements(twins) == []
    assert disagreements([*twins[:2], odd]) == [
        "versions differ: gateway-1/3 from the others",
        "endpoints differ: gateway-1/3 from the others",
    ]


def record(host: str, age_s: float) -> bytes:
    received_at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat().replace("+00:00", "Z")
    return json.dumps({"host": host, "received_at": received_at, "model": "x" * 500}).encode() + b"\n"


def test_age_of_a_stores_newest_records(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming" / "requests"
    incoming.mkdir(parents=True)
    old = b"".join(record("gw-1", 1000 - n) for n in range(100))
    (incoming / "requests-gw-1-a.jsonl").write_bytes(old + record("gw-1", 60) + b'{"host": "gw-1", "rec')
    (incoming / "requests-gw-2-a.jsonl").write_bytes(record("gw-2", 600) + b"garbage\n")
    (incoming / "requests-gw-2-b.jsonl").write_bytes(b"garbage\n")
    found = ask_store(tmp_path)
    assert found.problem is None
    assert found.by_host == pytest.approx({"gw-1": 60, "gw-2": 600}, abs=30)
    assert found.newest_s == found.by_host["gw-1"]


def test_store_that_was_compacted_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    day = tmp_path / "requests" / "date=2026-11-23"
    day.mkdir(parents=True)
    (day / "part-1.parquet").write_bytes(b"PAR1")
    found = ask_store(tmp_path)
    assert found.by_host == {}
    assert found.newest_s == pytest.approx(0, abs=30)


def test_store_without_records_or_without_being_there(tmp_path: Path) -> None:
    assert "no record yet" in ask_store(tmp_path).words()
    assert "no such folder" in ask_store(tmp_path / "nowhere").words()
