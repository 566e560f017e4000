"""TLS at the load balancer: what it speaks, and a certificate that changes while calls go on."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import requests

from support.certificates import certificate_for
from support.fleet import wait_until
from support.load_balancer import NGINX, Gateway, GatewayHandler, LoadBalancer, gateways, load_balancer

pytestmark = [
    pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine"),
    pytest.mark.filterwarnings("ignore:Unverified HTTPS", "ignore:ssl.TLSVersion.TLSv1_1"),
]

NAME = "127.0.0.1"
CURL = shutil.which("curl")
KINDS = ("http_2", "kept", "kept", "new", "stream")
STREAM = [f"data: {number}\n\n" for number in range(10)]


def answer(handler: GatewayHandler) -> None:
    """Answer at once, or as a stream of two seconds."""
    if handler.path != "/stream":
        handler.reply("ok")
        return
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for part in STREAM:
        handler.chunk(part)
        time.sleep(0.2)
    handler.chunk("")


@contextmanager
def serving(directory: Path) -> Iterator[tuple[LoadBalancer, Gateway, Path]]:
    """A load balancer with TLS, the gateway behind it, and the certificate to trust."""
    certificate, key = certificate_for(directory, NAME)
    with (
        gateways(answer) as (gateway,),
        load_balancer(
            directory, gateway.address, certificate=(certificate, key), load_balancer_reload_grace=5
        ) as balancer,
    ):
        yield balancer, gateway, certificate


def handshake(balancer: LoadBalancer, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = socket.create_connection((NAME, balancer.port), timeout=10)
    return context.wrap_socket(connection, server_hostname=NAME)


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_calls_are_served_over_http_2_and_recorded_like_others(tmp_path: Path) -> None:
    with serving(tmp_path) as (balancer, gateway, certificate):
        with httpx2.Client(http2=True, verify=trusting(certificate)) as client:
            got = client.post(f"{balancer.url}/v1/chat/completions", json={"model": "chat"})
        assert (got.status_code, got.http_version, got.text) == (200, "HTTP/2", "ok")
        old = requests.post(f"{balancer.url}/v1/chat/completions", json={}, verify=certificate, timeout=10)
        assert old.status_code == 200
        records = balancer.records(2)
    assert [record["request_id"] for record in records] == [
        got.headers["x-request-id"],
        old.headers["x-request-id"],
    ]
    assert records[0]["path"] == "/v1/chat/completions"
    first = gateway.calls[0]
    assert first.body == b'{"model":"chat"}'
    assert first.headers["Host"] == f"{NAME}:{balancer.port}"
    assert first.headers["X-Forwarded-Proto"] == "https"


def test_a_stream_comes_chunk_by_chunk_over_http_2(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as (balancer, _, certificate),
        httpx2.Client(http2=True, verify=trusting(certificate)) as client,
        client.stream("POST", f"{balancer.url}/stream", json={}) as got,
    ):
        assert [part for part in got.iter_text() if part] == STREAM


def test_plain_http_is_refused_and_told_why(tmp_path: Path) -> None:
    with serving(tmp_path) as (balancer, gateway, _):
        got = requests.post(f"http://{NAME}:{balancer.port}/v1/chat/completions", json={}, timeout=10)
        assert got.status_code == 400
        assert got.json()["error"]["code"] == "tls_required"
        assert gateway.calls == []


@pytest.mark.parametrize(
    ("newest", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_1, "ALL"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA"),  # CBC
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384"),
    ],
    ids=["TLS 1.1", "CBC with SHA-1", "CBC with SHA-384"],
)
def test_what_is_no_longer_safe_is_not_spoken(tmp_path: Path, newest: ssl.TLSVersion, ciphers: str) -> None:
    with serving(tmp_path) as (balancer, _, certificate):
        context = trusting(certificate)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with pytest.raises(OSError, match=r"(?i)alert|eof|reset"), handshake(balancer, context):
            pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_safe_is_spoken(tmp_path: Path, version: ssl.TLSVersion) -> None:
    with serving(tmp_path) as (balancer, _, certificate):
        context = trusting(certificate)
        context.minimum_version = context.maximum_version = version
        with handshake(balancer, context) as connection:
            suite = connection.cipher()
    assert suite
    assert "GCM" in suite[0] or "CHACHA20" in suite[0]


class Callers:
    """Callers of every kind, who go on until they are stopped and remember what went wrong."""

    def __init__(self, balancer: LoadBalancer, trust: Path, kinds: Sequence[str] = KINDS) -> None:
        self.calls: list[str] = []
        self.failures: list[str] = []
        self._over = threading.Event()
        self._url, self._trust = balancer.url, trust
        self._threads = [threading.Thread(target=self._work, args=(kind,)) for kind in kinds]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, kind: str) -> None:
        try:
            getattr(self, f"_{kind}")()
        except Exception as error:  # any at all is a failed call
            self.failures.append(f"{kind}: {error!r}")

    def _note(self, kind: str, status: int, text: str, expected: str = "ok") -> None:
        self.calls.append(kind)
        if status != 200 or text != expected:
            self.failures.append(f"{kind}: {status} {text}")

    def _http_2(self) -> None:
        with httpx2.Client(http2=True, verify=trusting(self._trust), timeout=30) as client:
            while not self._over.wait(0.01):
                got = client.post(f"{self._url}/v1/chat/completions", json={})
                self._note(got.http_version, got.status_code, got.text)

    def _kept(self) -> None:
        with requests.Session() as session:
            while not self._over.wait(0.01):
                got = session.post(
                    f"{self._url}/v1/chat/completions", json={}, timeout=30, verify=str(self._trust)
                )
                self._note("kept", got.status_code, got.text)

    def _new(self) -> None:
        while not self._over.wait(0.01):
            got = requests.post(
                f"{self._url}/v1/chat/completions", json={}, timeout=30, verify=str(self._trust)
            )
            self._note("new", got.status_code, got.text)

    def _stream(self) -> None:
        with httpx2.Client(http2=True, verify=trusting(self._trust), timeout=30) as client:
            while not self._over.is_set():
                got = client.post(f"{self._url}/stream", json={})
                self._note("stream", got.status_code, got.text, "".join(STREAM))

    def _new_stream(self) -> None:
        while not self._over.is_set():
            got = requests.post(f"{self._url}/stream", json={}, timeout=30, verify=str(self._trust))
            self._note("stream", got.status_code, got.text, "".join(STREAM))


def test_a_renewed_certificate_is_in_force_at_once_and_costs_no_call(tmp_path: Path) -> None:
    (tmp_path / "next").mkdir()
    renewed, key = certificate_for(tmp_path / "next", NAME)
    with serving(tmp_path) as (balancer, gateway, certificate):
        trusted = tmp_path / "both.pem"
        trusted.write_text(certificate.read_text() + renewed.read_text())
        with requests.Session() as kept, Callers(balancer, trusted) as callers:
            kept.trust_env = False
            kept.verify = str(certificate)  # only a connection from before the change will do
            assert kept.get(f"{balancer.url}/health", timeout=10).status_code == 200
            wait_until(lambda: "stream" in callers.calls, 30, "calls of every kind")

            balancer.serve_certificate(renewed, key)

            with handshake(balancer, trusting(renewed)) as connection:
                assert connection.version() == "TLSv1.3"
            with pytest.raises(ssl.SSLCertVerificationError):
                handshake(balancer, trusting(certificate))
            assert kept.get(f"{balancer.url}/health", timeout=10).status_code == 200
            before = len(callers.calls)
            wait_until(
                lambda: {"HTTP/2", "kept", "new", "stream"} <= set(callers.calls[before:]), 30, "more calls"
            )
        assert callers.failures == []
        assert sum(call.method == "POST" for call in gateway.calls) == len(callers.calls)


def curl_speaks_http_2() -> bool:
    return (
        CURL is not None
        and "HTTP2"
        in subprocess.run([CURL, "--version"], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.skipif(not curl_speaks_http_2(), reason="there is no curl with HTTP/2 on this machine")
def test_a_reload_cuts_no_stream_over_http_2(tmp_path: Path) -> None:
    with serving(tmp_path) as (balancer, _, certificate):
        command = [
            "--silent",
            "--no-buffer",
            "--http2",
            "--cacert",
            str(certificate),
            "--write-out",
            "%{http_version}",
        ]
        with subprocess.Popen(
            [str(CURL), *command, "--json", "{}", f"{balancer.url}/stream"], stdout=subprocess.PIPE, text=True
        ) as caller:
            assert caller.stdout
            begun = caller.stdout.readline()
            assert balancer.reload().returncode == 0
            text = begun + caller.stdout.read()
    assert (caller.returncode, text) == (0, "".join(STREAM) + "2")


def test_a_reload_costs_no_call_and_cuts_no_stream(tmp_path: Path) -> None:
    with serving(tmp_path) as (balancer, gateway, certificate):
        callers = Callers(balancer, certificate, kinds=("new", "kept", "kept", "new_stream"))
        with callers:
            for _ in range(2):
                before = len(callers.calls)
                wait_until(lambda seen=before: "stream" in callers.calls[seen:], 30, "calls of every kind")
                assert balancer.reload().returncode == 0
        assert callers.failures == []
        assert len(gateway.calls) == len(callers.calls)
