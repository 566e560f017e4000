"""The access record: complete, valid whatever callers send, one per call."""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from gateway_contracts import access_record
from support.load_balancer import NGINX, GatewayHandler, free_port, gateways, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")

FIELDS = [field.name for field in access_record.FIELDS]


def test_a_call_leaves_one_complete_record(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        before = datetime.now(UTC)
        answer = requests.post(
            f"{balancer.url}/gateway/chat/invocations?api-key=secret", data=b"x" * 1000, timeout=10
        )
        (record,) = balancer.records(1)
    assert list(record) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["received_at"])
    received = datetime.fromisoformat(record["received_at"])
    assert (before - received).total_seconds() < 1  # nginx's clock ticks between events
    assert received <= datetime.now(UTC)
    assert {name: record[name] for name in FIELDS[:8] if name not in ("request_id", "received_at")} == {
        "schema_version": 1,
        "host": "gateway-1",
        "client_address": "127.0.0.1",
        "method": "POST",
        "path": "/gateway/chat/invocations",
        "http_status": 200,
    }
    assert record["request_id"] == answer.headers["X-Request-ID"]
    assert record["request_bytes"] > 1000
    assert record["response_bytes"] == len("ok")
    assert (record["upstream_address"], record["upstream_status"]) == (gateway.address, 200)
    for name in ("duration_ms", "upstream_connect_ms", "upstream_header_ms", "upstream_ms"):
        assert isinstance(record[name], int)
    assert record["limited"] is False


def test_the_file_is_named_after_the_host_and_the_hour_in_utc(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        hours = {datetime.now(UTC).strftime("%Y%m%dT%H")}
        requests.get(f"{balancer.url}/v1/models", timeout=10)
        balancer.records(1)
        hours.add(datetime.now(UTC).strftime("%Y%m%dT%H"))
        (path,) = (tmp_path / "access").iterdir()
    assert path.name in {f"access-gateway-1-{hour}.jsonl" for hour in hours}


def test_received_at_is_when_the_call_came_not_when_it_ended(tmp_path: Path) -> None:
    released = threading.Event()
    arrived = threading.Event()

    def wait(handler: GatewayHandler) -> None:
        arrived.set()
        released.wait(20)
        handler.reply("ok")

    with gateways(wait) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        caller = threading.Thread(
            target=requests.post, args=(f"{balancer.url}/",), kwargs={"json": {}, "timeout": 30}
        )
        caller.start()
        assert arrived.wait(10)
        seen = datetime.now(UTC)
        threading.Event().wait(1.1)  # the call has to last for a difference to show
        released.set()
        caller.join()
        (record,) = balancer.records(1)
    assert datetime.fromisoformat(record["received_at"]) <= seen
    assert record["duration_ms"] >= 1000
    assert record["upstream_ms"] >= 1000


def test_the_request_id_is_made_here_passed_on_and_returned_once(tmp_path: Path) -> None:
    def echo(handler: GatewayHandler) -> None:
        handler.reply("ok", X_Request_ID="made-by-the-gateway")

    with gateways(echo) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        raw = balancer.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Request-ID: made-by-the-caller\r\nX-Forwarded-For: 10.9.9.9\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        (record,) = balancer.records(1)
    returned = re.findall(rb"(?i)^x-request-id: (.*)\r$", raw, re.MULTILINE)
    assert returned == [record["request_id"].encode()]
    headers = gateway.calls[0].headers
    assert headers["X-Request-ID"] == record["request_id"]
    assert re.fullmatch("[0-9a-f]{32}", record["request_id"])
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"


def test_a_health_probe_leaves_no_record(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        assert requests.get(f"{balancer.url}/health", timeout=10).status_code == 200
        assert requests.get(f"{balancer.url}/v1/models", timeout=10).status_code == 200
        assert [record["path"] for record in balancer.records(1)] == ["/v1/models"]
    assert [call.path for call in gateway.calls] == ["/health", "/v1/models"]


def test_a_failing_health_probe_leaves_no_record_either(tmp_path: Path) -> None:
    with load_balancer(tmp_path, f"127.0.0.1:{free_port()}") as balancer:
        assert requests.get(f"{balancer.url}/health", timeout=10).status_code == 502
        assert requests.get(f"{balancer.url}/v1/models", timeout=10).status_code == 502
        assert [record["path"] for record in balancer.records(1)] == ["/v1/models"]


def test_a_call_offered_to_two_gateways_names_both(tmp_path: Path) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with gateways(None) as (alive,), load_balancer(tmp_path, dead, alive.address) as balancer:
        for _ in range(2):
            assert requests.post(f"{balancer.url}/", json={}, timeout=10).status_code == 200
        records = balancer.records(2)
    (record,) = (record for record in records if "," in record["upstream_address"])
    assert record["upstream_address"] == f"{dead}, {alive.address}"
    assert record["upstream_status"] == "502, 200"
    assert re.fullmatch(r"-, \d+", record["upstream_connect_ms"])
    assert re.fullmatch(r"-, \d+", record["upstream_header_ms"])
    assert re.fullmatch(r"\d+, \d+", record["upstream_ms"])


def test_milliseconds_are_json_numbers_from_one_to_many_digits(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        pattern = re.compile(r"map \$request_time \$access_duration_ms \{(.*?)\}", re.DOTALL)
        rules = re.findall(
            r'"~(.*?)" (\S+);', pattern.search((balancer.directory / "nginx.conf").read_text())[1]
        )  # type: ignore[index]
    for milliseconds in (0, 1, 42, 100, 999, 1000, 1001, 10_000, 299_010):
        text = f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
        (found,) = [
            match.expand(value.replace("$", "\\"))
            for rule, value in rules
            if (match := re.search(rule, text))
        ]
        assert json.loads(found) == milliseconds


def test_a_caller_that_leaves_is_499(tmp_path: Path) -> None:
    released = threading.Event()
    arrived = threading.Event()

    def wait(_handler: GatewayHandler) -> None:
        arrived.set()
        released.wait(20)

    with gateways(wait) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        with socket.create_connection(("127.0.0.1", balancer.port)) as caller:
            caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert arrived.wait(10)
        (record,) = balancer.records(1)
        released.set()
    assert record["http_status"] == 499
    assert record["upstream_status"] is None
    assert record["upstream_header_ms"] is None


HOSTILE = {
    "quotes and backslashes": b"GET /a\"b\\c'd{}$request_id HTTP/1.1\r\nHost: x\r\n",
    "escaped control characters": b"GET /a%00%0a%22%ff HTTP/1.1\r\nHost: x\r\n",
    "bytes that are not UTF-8": b"GET /a\xff\xfe\xc3( HTTP/1.1\r\nHost: x\r\n",
    "a hostile header": b'GET / HTTP/1.1\r\nHost: "\\\xff\r\nUser-Agent: \xff"\\\r\nX-Request-ID: "\xff\r\n',
    "a very long path": b"GET /" + b"a" * 12_000 + b" HTTP/1.1\r\nHost: x\r\n",
    "a long path of quotes": b"GET /" + b'"' * 12_000 + b" HTTP/1.1\r\nHost: x\r\n",
    "a path beyond every buffer": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n",
    "a header beyond every buffer": b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000 + b"\r\n",
    "a method of its own": b"A" * 5_000 + b" / HTTP/1.1\r\nHost: x\r\n",
    "a control character": b"GET /\x01 HTTP/1.1\r\nHost: x\r\n",
    "no HTTP at all": b"\x16\x03\x01\x00\xa5\xff\xff\r\n",
    "a probe's path in disguise": b"GET /health%0a HTTP/1.1\r\nHost: x\r\n",
    "a probe's path in capitals": b"GET /HEALTH HTTP/1.1\r\nHost: x\r\n",
}


@pytest.mark.parametrize("request_head", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_leaves_a_valid_bounded_line(tmp_path: Path, request_head: bytes) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        balancer.send(request_head + b"Connection: close\r\n\r\n")
        (record,) = balancer.records(1)
        (line,) = balancer.lines()
    assert list(record) == FIELDS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["received_at"])
    assert len(line) < 4096
    assert "x-request-id" not in line.decode().lower()
    assert 200 <= record["http_status"] < 600


def test_a_path_is_kept_as_it_was_sent(tmp_path: Path) -> None:
    with gateways(None) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        balancer.send(b'GET /a%20"b\\?key=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        balancer.send(b"GET /caf\xc3\xa9/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        balancer.send(b"BROKEN\r\n\r\n")
        records = balancer.records(3)
    assert [record["path"] for record in records] == ['/a%20"b\\', "/caf", ""]
    assert [record["method"] for record in records] == ["GET", "GET", ""]
    assert records[2]["http_status"] == 400
