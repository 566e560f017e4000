"""Whatever a caller sends, or fails to send, is recorded once with its cause, and others are served."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from gateway_contracts.request_record import problem
from support.emulator import Emulator
from support.gateway import Gateway, openai_endpoint, running_gateway, wait_until

PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hello"}]}).encode()


@pytest.fixture(scope="module")
def gateway(emulator: Emulator) -> Iterator[Gateway]:
    """Yield a gateway of this module's own: it counts every record."""
    with running_gateway({"endpoints": [openai_endpoint("chat", emulator.openai_url)]}) as running:
        yield running


def head(*lines: str) -> bytes:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: gateway", *lines, "", ""]).encode()


def connect(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), 30)


def said(connection: socket.socket) -> bytes:
    """Return all that comes until the other side closes."""
    found = b""
    while part := connection.recv(65536):
        found += part
    return found


def new_records(gateway: Gateway, before: int, count: int) -> list[dict[str, Any]]:
    """Return the records written since there were `before`, once a good call was served and recorded too."""
    answer = gateway.chat("hello")
    assert answer.status_code == 200
    wait_until(lambda: len(gateway.records()) >= before + count + 1, "the records", 30)
    gateway.record_of(answer)
    found = [one for one in gateway.records() if one["request_id"] != answer.headers["x-request-id"]][before:]
    assert len(found) == count, found
    assert [problem(record) for record in found] == [None] * count
    return found


def test_a_body_that_never_comes(gateway: Gateway) -> None:
    """Calls that send their bodies byte by byte keep nobody else waiting, and end as callers that left."""
    before = len(gateway.records())
    lorises = [connect(gateway) for _ in range(20)]
    for loris in lorises:
        loris.sendall(
            head("Content-Type: application/json", f"Content-Length: {len(BODY)}", "X-Request-ID: slow")
        )
    for byte in BODY[:10]:
        for loris in lorises:
            loris.sendall(bytes([byte]))
        assert gateway.chat("hello", "nope").status_code == 404
    for loris in lorises:
        loris.close()
    records = new_records(gateway, before, 30)
    slow = [record for record in records if record["request_id"] == "slow"]
    assert [(one["http_status"], one["error_class"]) for one in slow] == [(499, "client_disconnect")] * 20
    assert {one["upstream_ms"] for one in slow} == {None}


def test_a_slow_body_that_comes_is_served(gateway: Gateway) -> None:
    before = len(gateway.records())
    with connect(gateway) as connection:
        connection.sendall(
            head("Content-Type: application/json", f"Content-Length: {len(BODY)}", "Connection: close")
        )
        for byte in BODY:
            connection.sendall(bytes([byte]))
        assert b"HTTP/1.1 200" in said(connection)
    assert new_records(gateway, before, 1)[0]["request_bytes"] == len(BODY)


def test_a_header_that_never_ends_is_cut_off(gateway: Gateway) -> None:
    before = len(gateway.records())
    refused = False
    with connect(gateway) as connection:
        try:
            for _ in range(200):
                connection.sendall(b"X-Long: " + b"a" * 100_000)
            refused = connection.recv(1) == b""
        except OSError:
            refused = True
    assert refused
    assert new_records(gateway, before, 0) == []


def test_a_call_is_recorded_with_all_its_bytes_when_it_has_20_mb(gateway: Gateway) -> None:
    before = len(gateway.records())
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 20_000_000}}]
    body = json.dumps({"model": "chat", "messages": [{"role": "user", "content": parts}]}).encode()
    assert gateway.post(PATH, body).status_code == 200
    record = new_records(gateway, before, 1)[0]
    assert record["request_bytes"] == len(body)
    assert (record["http_status"], record["error_class"]) == (200, None)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"hello\r\n\r\n", id="another protocol"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
        pytest.param(head("Content-Length: -5"), id="a length below zero"),
        pytest.param(head("Content-Length: 5", "Content-Length: 500") + b"hello", id="two lengths"),
        pytest.param(head("Transfer-Encoding: chunked") + b"zz\r\nhello\r\n", id="a chunk of no size"),
    ],
)
def test_a_request_that_is_no_http(gateway: Gateway, sent: bytes) -> None:
    """It is closed, and never reaches a provider; where it was a call already, it is one that ended early."""
    before = len(gateway.records())
    with connect(gateway) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in said(connection)
    answer = gateway.chat("hello")
    assert answer.status_code == 200
    gateway.record_of(answer)
    records = gateway.records()[before:]
    assert len(records) <= 2
    assert [one["http_status"] for one in records if one["upstream_ms"] is not None] == [200]


def test_calls_sent_before_the_answer_are_answered_in_turn(gateway: Gateway) -> None:
    before = len(gateway.records())
    one = head("Content-Type: application/json", f"Content-Length: {len(BODY)}") + BODY
    last = head("Content-Type: application/json", f"Content-Length: {len(BODY)}", "Connection: close") + BODY
    with connect(gateway) as connection:
        connection.sendall(one * 4 + last)
        assert said(connection).count(b"HTTP/1.1 200") == 5
    assert {record["http_status"] for record in new_records(gateway, before, 5)} == {200}


def test_bodies_in_chunks(gateway: Gateway) -> None:
    before = len(gateway.records())
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, bytes([byte])) for byte in BODY) + b"0\r\n\r\n"
    with connect(gateway) as connection:
        connection.sendall(
            head("Transfer-Encoding: chunked", "Content-Type: application/json", "Connection: close") + chunks
        )
        assert b"HTTP/1.1 200" in said(connection)
    assert new_records(gateway, before, 1)[0]["request_bytes"] == len(BODY)
