"""Which gateway a call reaches, and what becomes of calls to gateways that fail."""

from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path

import pytest
import requests

from support.fleet import wait_until
from support.load_balancer import NGINX, GatewayHandler, free_port, gateways, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")


def die(handler: GatewayHandler) -> None:
    """Close the connection without an answer, as a killed process does."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_calls_reach_every_gateway(tmp_path: Path) -> None:
    with (
        gateways(None, None, None) as members,
        load_balancer(tmp_path, *(g.address for g in members)) as balancer,
    ):
        with requests.Session() as session:
            for _ in range(30):
                assert (
                    session.post(f"{balancer.url}/gateway/chat/invocations", json={}, timeout=10).status_code
                    == 200
                )
        assert [len(gateway.calls) for gateway in members] == [10, 10, 10]


def test_a_busy_gateway_gets_fewer_calls(tmp_path: Path) -> None:
    released = threading.Event()

    def busy(handler: GatewayHandler) -> None:
        released.wait(20)
        handler.reply("late")

    with (
        gateways(busy, None) as (slow, idle),
        load_balancer(tmp_path, slow.address, idle.address) as balancer,
    ):
        callers = [
            threading.Thread(
                target=requests.post, args=(f"{balancer.url}/",), kwargs={"json": {}, "timeout": 30}
            )
            for _ in range(2)
        ]
        for caller in callers:
            caller.start()
        try:
            wait_until(lambda: slow.calls, 10, "a call at the slow gateway")
            wait_until(lambda: idle.calls, 10, "the other call at the idle gateway")
            for _ in range(10):
                assert requests.post(f"{balancer.url}/", json={}, timeout=10).text == "ok"
        finally:
            released.set()
            for caller in callers:
                caller.join()
        assert len(slow.calls) == 1


def test_connections_to_the_gateways_are_kept(tmp_path: Path) -> None:
    ports: list[int] = []

    def note(handler: GatewayHandler) -> None:
        ports.append(handler.client_address[1])
        handler.reply("ok")

    with (
        gateways(note) as (gateway,),
        load_balancer(tmp_path, gateway.address) as balancer,
        requests.Session() as session,
    ):
        for _ in range(10):
            session.post(f"{balancer.url}/", json={}, timeout=10)
    assert len(ports) == 10
    assert len(set(ports)) == 1


def test_a_dead_gateway_costs_no_call(tmp_path: Path) -> None:
    dead = f"127.0.0.1:{free_port()}"
    with gateways(None) as (alive,), load_balancer(tmp_path, dead, alive.address) as balancer:
        answers = [requests.post(f"{balancer.url}/", json={}, timeout=10) for _ in range(10)]
        assert [answer.status_code for answer in answers] == [200] * 10
        assert len(alive.calls) == 10


def test_a_post_that_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    with (
        gateways(die, None) as (dying, alive),
        load_balancer(tmp_path, dying.address, alive.address, load_balancer_fail_timeout=60) as balancer,
    ):
        answers = [requests.post(f"{balancer.url}/", json={}, timeout=10) for _ in range(6)]
        assert len(dying.calls) + len(alive.calls) == 6
        assert len(dying.calls) == 1  # then it counts as failed, and gets no more
        assert [answer.status_code for answer in answers].count(502) == 1
        record = next(record for record in balancer.records(6) if record["http_status"] == 502)
        assert record["upstream_address"] == dying.address


def test_a_get_is_tried_on_another_gateway(tmp_path: Path) -> None:
    with (
        gateways(die, None) as (dying, alive),
        load_balancer(tmp_path, dying.address, alive.address) as balancer,
    ):
        answers = [requests.get(f"{balancer.url}/api/2.0/endpoints/", timeout=10) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert len(dying.calls) == 1


def test_with_no_gateway_left_callers_get_an_error_their_client_understands(tmp_path: Path) -> None:
    with load_balancer(tmp_path, f"127.0.0.1:{free_port()}") as balancer:
        answer = requests.post(f"{balancer.url}/v1/chat/completions", json={}, timeout=10)
        assert answer.status_code == 502
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()["error"]["type"] == "server_error"
        assert (
            answer.json()["request_id"]
            == answer.headers["X-Request-ID"]
            == balancer.records(1)[0]["request_id"]
        )


def test_a_gateway_that_stays_silent_ends_as_504(tmp_path: Path) -> None:
    released = threading.Event()
    with (
        gateways(lambda _handler: bool(released.wait(20))) as (gateway,),
        load_balancer(tmp_path, gateway.address, load_balancer_read_timeout=1) as balancer,
    ):
        answer = requests.post(f"{balancer.url}/v1/chat/completions", json={}, timeout=10)
        released.set()
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "gateway_timeout"
        assert balancer.records(1)[0]["duration_ms"] >= 1000


def test_a_body_that_is_too_large_is_refused_with_413(tmp_path: Path) -> None:
    with (
        gateways(None) as (gateway,),
        load_balancer(tmp_path, gateway.address, load_balancer_max_body_size="1k") as balancer,
    ):
        answer = requests.post(f"{balancer.url}/v1/chat/completions", data=b"x" * 2000, timeout=10)
        assert answer.status_code == 413
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert not gateway.calls


def test_an_answer_of_a_gateway_passes_unchanged(tmp_path: Path) -> None:
    def refuse(handler: GatewayHandler) -> None:
        handler.reply('{"detail": "the provider is down"}', status=502, Retry_After="7")

    with gateways(refuse) as (gateway,), load_balancer(tmp_path, gateway.address) as balancer:
        answer = requests.post(f"{balancer.url}/v1/chat/completions", json={}, timeout=10)
        assert (answer.status_code, answer.json()) == (502, {"detail": "the provider is down"})
        assert answer.headers["Retry-After"] == "7"
        assert len(gateway.calls) == 1
