"""What HTTP allows a provider to do on the wire, and what it must not: the caller gets the same answer."""

import contextlib
import gzip
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import hostile_server as host
from support.certificates import certificate_for
from support.emulator import running_emulator
from support.gateway import KEY, Gateway, openai_endpoint, running_gateway
from support.hostile_server import HostileServer, http

BODY = json.dumps(host.completion()).encode()
JSON = b"Content-Type: application/json\r\n"


def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    return host.event(delta, finish, object="chat.completion.chunk", created=1, **more)


EVENTS = event({"content": "Ada"}) + event({}, "stop", usage=host.completion()["usage"]) + b"data: [DONE]\n\n"


@pytest.fixture(scope="module")
def upstream() -> Iterator[HostileServer]:
    with host.hostile_server() as server:
        yield server


@pytest.fixture(scope="module")
def doorman() -> Iterator[socket.socket]:
    """Yield the listener of endpoint `doorman`, which a test answers itself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture(scope="module")
def gateway(upstream: HostileServer, doorman: socket.socket) -> Iterator[Gateway]:
    endpoints = [
        openai_endpoint("chat", f"{upstream.url}/v1"),
        openai_endpoint("doorman", f"http://127.0.0.1:{doorman.getsockname()[1]}/v1"),
    ]
    with running_gateway({"endpoints": endpoints}) as running:
        yield running


def raw(head: bytes, body: bytes = b"") -> host.Answer:
    """Return an answer of exactly these bytes, after which the connection closes."""

    def answer(connection: socket.socket, _server: HostileServer) -> None:
        connection.sendall(head + body)

    return answer


def drop_by_drop(head: bytes, body: bytes) -> host.Answer:
    """Return the same answer in pieces of one byte."""

    def answer(connection: socket.socket, _server: HostileServer) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head + body:
            connection.sendall(bytes([byte]))

    return answer


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    """Return the body in chunked encoding."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return (
        b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"
    )


def sized(body: bytes, *headers: bytes) -> bytes:
    """Return the head of an answer with this body."""
    return b"HTTP/1.1 200 OK\r\n" + JSON + b"".join(headers) + b"Content-Length: %d\r\n\r\n" % len(body)


GZIPPED = gzip.compress(BODY)
DEFLATED = zlib.compress(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(raw(sized(BODY), BODY), id="as usual"),
        pytest.param(drop_by_drop(sized(BODY), BODY), id="byte by byte"),
        pytest.param(raw(CHUNKED, chunked(BODY, 7)), id="in chunks"),
        pytest.param(raw(CHUNKED, chunked(BODY, 7, b"X-Trailer: 1\r\n")), id="in chunks, with a trailer"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\n" + JSON + b"\r\n", BODY), id="until the connection closes"),
        pytest.param(raw(b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n", BODY), id="as HTTP 1.0"),
        pytest.param(raw(b"HTTP/1.1 100 Continue\r\n\r\n" + sized(BODY), BODY), id="after 100 Continue"),
        pytest.param(
            raw(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(BODY), BODY),
            id="after 103 Early Hints",
        ),
        pytest.param(raw(sized(GZIPPED, b"Content-Encoding: gzip\r\n"), GZIPPED), id="compressed by gzip"),
        pytest.param(
            raw(sized(DEFLATED, b"Content-Encoding: deflate\r\n"), DEFLATED), id="compressed by deflate"
        ),
        pytest.param(
            raw(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"), chunked(GZIPPED, 9)),
            id="compressed and in chunks",
        ),
        pytest.param(raw(sized(BODY + b" \n"), BODY + b" \n"), id="with a line feed after it"),
        pytest.param(
            raw(sized(BODY, *[b"Set-Cookie: a%d=%b\r\n" % (n, b"x" * 100) for n in range(40)]), BODY),
            id="with many headers",
        ),
        pytest.param(
            raw(
                sized(BODY).replace(b"Content-Type", b"content-TYPE").replace(b"Length: ", b"Length:   "),
                BODY,
            ),
            id="with odd headers",
        ),
    ],
)
def test_a_whole_answer(gateway: Gateway, upstream: HostileServer, said: host.Answer) -> None:
    upstream.will(said)
    answer = gateway.chat("hello")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "Ada"
    record = gateway.record_of(answer)
    assert (record["input_tokens"], record["output_tokens"]) == (10, 5)
    assert "set-cookie" not in answer.headers


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
ODD_ENDS = EVENTS.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(
            drop_by_drop(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", chunked(EVENTS, 50)),
            id="byte by byte",
        ),
        pytest.param(
            raw(STREAM + b"Transfer-Encoding: chunked\r\n\r\n", chunked(EVENTS, 3)), id="in small chunks"
        ),
        pytest.param(raw(STREAM + b"\r\n", EVENTS), id="until the connection closes"),
        pytest.param(raw(STREAM + b"\r\n", EVENTS.rstrip()), id="without the last line feed"),
        pytest.param(raw(STREAM + b"\r\n", ODD_ENDS), id="with other line ends"),
        pytest.param(raw(STREAM + b"\r\n", EVENTS.replace(b"data: ", b"data:")), id="without blanks"),
        pytest.param(raw(STREAM + b"\r\n", b": hello\n\nretry: 5\n\n" + EVENTS), id="with comments"),
        pytest.param(
            raw(STREAM + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(EVENTS)), id="compressed by gzip"
        ),
    ],
)
def test_a_stream(gateway: Gateway, upstream: HostileServer, said: host.Answer) -> None:
    upstream.will(said)
    answer = gateway.chat("hello", stream=True)
    assert answer.status_code == 200, answer.text
    lines = [
        line.removeprefix("data:").strip() for line in answer.text.splitlines() if line.startswith("data:")
    ]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    assert (
        "".join(choice["delta"].get("content") or "" for one in chunks for choice in one["choices"]) == "Ada"
    )
    record = gateway.record_of(answer)
    assert (record["input_tokens"], record["output_tokens"]) == (10, 5)
    assert (record["error_class"], record["finish_reason"]) == (None, "stop")


def test_a_provider_that_closes_idle_connections_fails_no_call(
    gateway: Gateway, upstream: HostileServer
) -> None:
    """It closes after every answer without saying so; a call must not be sent into a closed connection."""

    noticed = threading.Semaphore(0)

    def answer_and_close(connection: socket.socket, _server: HostileServer) -> None:
        connection.sendall(sized(BODY) + BODY)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
        noticed.release()

    upstream.will(answer_and_close)
    before = len(upstream.calls)
    for _ in range(30):
        assert gateway.chat("hello").status_code == 200
        assert noticed.acquire(timeout=60)
    assert len(upstream.calls) - before == 30  # no call was sent twice


def test_an_answer_that_comes_before_the_request_is_read(gateway: Gateway, doorman: socket.socket) -> None:
    """A provider refuses a large body after its first bytes; the caller gets the refusal."""
    refusal = http(413, {"error": {"message": "too large"}}, Connection="close")

    def refuse() -> None:
        connection, _ = doorman.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(refusal)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1_000_000):
                pass

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    answer = gateway.chat("x" * 5_000_000, "doorman")
    assert answer.status_code == 413
    assert gateway.record_of(answer)["error_class"] == "invalid_request"
    thread.join(10)


def test_only_a_provider_with_a_trusted_certificate_gets_the_key(tmp_path: Path) -> None:
    names = {"trusted": "localhost", "unknown": "localhost", "misnamed": "provider.example"}
    with contextlib.ExitStack() as stack:
        emulators = {}
        for case, name in names.items():
            directory = tmp_path / case
            directory.mkdir()
            pem, private = certificate_for(directory, name)
            emulators[case] = stack.enter_context(
                running_emulator(host="localhost", tls_certificate=pem, tls_key=private)
            )
        trust = tmp_path / "trust.pem"
        trust.write_bytes(
            b"".join(Path(str(emulators[case].verify)).read_bytes() for case in ("trusted", "misnamed"))
        )
        endpoints = [openai_endpoint(case, emulators[case].openai_url) for case in names]
        running = stack.enter_context(running_gateway({"endpoints": endpoints}, SSL_CERT_FILE=str(trust)))
        assert running.chat("hello", "trusted").status_code == 200
        for case in ("unknown", "misnamed"):
            answer = running.chat("hello", case)
            assert answer.status_code == 502
            assert running.record_of(answer)["error_class"] == "network"


def test_the_provider_gets_its_key_and_nothing_of_the_callers(
    gateway: Gateway, upstream: HostileServer
) -> None:
    upstream.will(http(200, host.completion()))
    message = {"model": "chat", "messages": [{"role": "user", "content": "hello"}]}
    headers = {
        "Authorization": "Bearer caller",
        "Cookie": "a=b",
        "X-Api-Key": "caller",
        "X-Forwarded-For": "192.0.2.1",
    }
    assert gateway.post("/v1/chat/completions", message, headers=headers).status_code == 200
    sent = upstream.calls[-1].headers
    assert sent["authorization"] == f"Bearer {KEY}"
    assert not {"cookie", "x-api-key", "x-forwarded-for"} & set(sent)
    assert "caller" not in " ".join(sent.values())
