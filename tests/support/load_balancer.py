"""The load balancer's own nginx on loopback, and stand-ins for the gateways behind it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from support.fleet import wait_until
from support.roles import Role

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class GatewayHandler(BaseHTTPRequestHandler):
    """Answers as its gateway is told to, and keeps what it was sent."""

    protocol_version = "HTTP/1.1"
    server: Gateway

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.calls.append(Call(self.command, self.path, dict(self.headers), body))
        self.server.answer(self)

    def reply(self, text: str, status: int = 200, **headers: str) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def chunk(self, text: str) -> None:
        """Send one chunk of a streamed answer; an empty text ends it."""
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())

    def log_message(self, *_arguments: Any) -> None:
        pass


@dataclass
class Call:
    """What a gateway was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Gateway(ThreadingHTTPServer):
    """A gateway as the load balancer sees one. `answer` decides what callers get."""

    daemon_threads = True

    def __init__(self, answer: Callable[[GatewayHandler], None] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), GatewayHandler)
        self.calls: list[Call] = []
        self.answer = answer or (lambda handler: handler.reply("ok"))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_arguments: Any) -> None:
        """Callers and nginx leave when they like."""


@contextmanager
def gateways(*answers: Callable[[GatewayHandler], None] | None) -> Iterator[list[Gateway]]:
    """Running gateways, one per answer."""
    running = [Gateway(answer) for answer in answers]
    for gateway in running:
        threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield running
    finally:
        for gateway in running:
            gateway.shutdown()
            gateway.server_close()


@dataclass
class LoadBalancer:
    """A running nginx with the role's configuration."""

    directory: Path
    port: int
    role: Role
    process: subprocess.Popen[bytes] = field(repr=False)
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def serve_certificate(self, certificate: Path, key: Path) -> None:
        """Put a certificate and its key in force as the role does: one file, replaced by renaming."""
        put_certificate(self.directory, certificate, key)

    def reload(self) -> subprocess.CompletedProcess[str]:
        """Reload nginx as its service does; its new processes serve when this returns."""
        script = self.directory / "reload"
        script.write_text(self.role.render("reload.j2"))
        return subprocess.run(
            [sys.executable, "-I", str(script), str(self.process.pid)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    def lines(self) -> list[bytes]:
        """The access records written so far, as bytes, oldest first."""
        return [
            line
            for path in sorted(self.directory.glob("access/*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def records(self, count: int) -> list[dict[str, Any]]:
        """`count` access records; nginx writes each after the caller has its answer."""
        lines: list[bytes] = wait_until(
            lambda: lines if len(lines := self.lines()) >= count else None, 10, f"{count} access records"
        )
        assert len(lines) == count, lines
        return [json.loads(line.decode("utf-8", "strict")) for line in lines]

    def send(self, request: bytes) -> bytes:
        """Send bytes that no client library would, and return what came back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer


def put_certificate(directory: Path, certificate: Path, key: Path) -> None:
    """Write what nginx opens for each handshake."""
    (directory / "tls").mkdir(exist_ok=True)
    new = directory / "tls" / "server.pem.new"
    new.write_text(key.read_text() + certificate.read_text())
    new.rename(directory / "tls" / "server.pem")


def nginx_version() -> dict[str, str]:
    """What role load_balancer registers of nginx's own words."""
    said = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True)
    return {"stderr": said.stderr}


def configuration(role: Role) -> str:
    """The configuration file, as the role writes it."""
    text: str = role.evaluate(
        "_load_balancer_config | replace(_load_balancer_generation_mark, _load_balancer_generation)"
    )
    return text


@contextmanager
def load_balancer(
    directory: Path, *members: str, certificate: tuple[Path, Path] | None = None, **variables: Any
) -> Iterator[LoadBalancer]:
    """nginx in front of `members` ("address:port"), over TLS where there is a certificate and its key.

    `variables` are the role's.
    """
    port = free_port()
    if certificate:
        put_certificate(directory, *certificate)
    role = Role(
        "load_balancer",
        load_balancer_port=port,
        load_balancer_members=list(members),
        load_balancer_access_log_path=str(directory / "access"),
        load_balancer_tls=certificate is not None,
        _load_balancer_temp_path=str(directory / "tmp"),
        _load_balancer_run_path=str(directory),
        _load_balancer_tls_path=str(directory / "tls"),
        __load_balancer_nginx_version=nginx_version(),
        **variables,
    )
    (directory / "access").mkdir()
    (directory / "tmp").mkdir()
    config = directory / "nginx.conf"
    config.write_text(configuration(role))
    user = "user root;" if os.geteuid() == 0 else ""
    settings = f"daemon off; pid {directory}/nginx.pid; {user}"
    with (directory / "error.log").open("wb") as log:
        process = subprocess.Popen(
            [NGINX, "-c", str(config), "-g", settings],
            env={**os.environ, "TZ": "UTC"},
            stdout=log,
            stderr=log,
        )
    try:
        running = LoadBalancer(directory, port, role, process, certificate is not None)
        wait_until(lambda: _answers(running), 10, "nginx listens")
        yield running
    finally:
        process.terminate()
        process.wait(10)


def _answers(running: LoadBalancer) -> bool:
    assert running.process.poll() is None, (running.directory / "error.log").read_text()
    try:
        # No particular certificate: tests look at that.
        return requests.get(f"{running.url}/load_balancer/generation", timeout=5, verify=False).ok
    except requests.ConnectionError:
        return False
