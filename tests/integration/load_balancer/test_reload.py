"""A reload of the load balancer: no caller sends a request on a connection that nginx is about to close."""

from __future__ import annotations

import http.client
import shutil
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from support.fleet import wait_until
from support.load_balancer import NGINX, LoadBalancer, gateways, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")

PATH = "/gateway/chat/invocations?a=%20b"


def call(connection: http.client.HTTPConnection) -> str | None:
    """Make a call, and return what its answer says of the connection."""
    connection.request("POST", PATH, body=b"{}")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"ok")
    return answer.getheader("Connection")


def reloading(balancer: LoadBalancer, pool: ThreadPoolExecutor) -> Future[int]:
    """Begin a reload; it has begun when this returns."""
    reload = pool.submit(lambda: balancer.reload().returncode)
    wait_until(lambda: (balancer.directory / "ending-connections").exists(), 10, "the reload begins")
    return reload


def test_callers_are_asked_to_leave_before_their_connections_are_closed(tmp_path: Path) -> None:
    with (
        gateways(None) as (gateway,),
        load_balancer(tmp_path, gateway.address, load_balancer_reload_grace=60) as balancer,
        ThreadPoolExecutor() as pool,
    ):
        kept = [http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10) for _ in range(5)]
        for turn in range(2):
            assert [call(connection) for connection in kept] == ["keep-alive"] * 5
            reload = reloading(balancer, pool)
            # http.client connects anew by itself, but only where it was told that the connection ended.
            assert [call(connection) for connection in kept] == ["close"] * 5
            assert reload.result(30) == 0
            assert len(gateway.calls) == 10 * (turn + 1)
        assert {made.path for made in gateway.calls} == {PATH}


def test_a_caller_who_only_stays_connected_does_not_hold_a_reload_up(tmp_path: Path) -> None:
    with (
        gateways(None) as (gateway,),
        load_balancer(tmp_path, gateway.address, load_balancer_reload_grace=1) as balancer,
        socket.create_connection(("127.0.0.1", balancer.port), timeout=10) as silent,
    ):
        silent.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent.recv(4096).startswith(b"HTTP/1.1 200")
        assert balancer.reload().returncode == 0
        assert silent.recv(1) == b""
        with socket.create_connection(("127.0.0.1", balancer.port), timeout=10) as anew:
            anew.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert anew.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_configuration_that_nginx_refuses_fails_the_reload_and_changes_nothing(tmp_path: Path) -> None:
    with (
        gateways(None) as (gateway,),
        load_balancer(tmp_path, gateway.address, _load_balancer_reload_timeout=2) as balancer,
    ):
        (tmp_path / "nginx.conf").write_text("http { nonsense on; }")
        reload = balancer.reload()
        assert reload.returncode == 1
        assert "nginx keeps the configuration that it has" in reload.stderr
        connection = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=10)
        assert [call(connection) for _ in range(2)] == ["keep-alive", "keep-alive"]
