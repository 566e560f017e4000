"""Every way in which a host can misbehave, and its class, which `run`, `ask` and `load` tell alike."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.evaluation import gateway_eval
from support.hostile_server import (
    Answer,
    HostileServer,
    close,
    completion,
    cut_body,
    drip_body,
    drip_headers,
    drip_stream,
    event,
    gzip_bomb,
    gzip_garbage,
    hang,
    hostile_server,
    http,
    reset,
    stream,
)

TIMEOUT_S = 1
HEAD = event({"role": "assistant", "content": ""})
TEXT = event({"content": "Hello"})
END = event(finish="stop")
DONE = b"data: [DONE]\n\n"
LONG_LINE = b"x" * 10_000_000
TOO_LONG_LINE = b"x" * 20_000_000


def raw(data: bytes) -> Answer:
    """Return an answer that is sent as it is, and then the connection closes."""

    def answer(connection: socket.socket, _server: HostileServer) -> None:
        connection.sendall(data)

    return answer


def endless_headers(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.over.is_set():
        connection.sendall(b"X-More: and more\r\n" * 100)


def endless_stream(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while not server.over.is_set():
        connection.sendall(TEXT * 1000)


def error(**fields: object) -> dict[str, object]:
    return {"error": fields}


WHOLE: dict[str, tuple[Answer, str]] = {
    "400": (http(400, error(message="bad", code="invalid_value")), "invalid_request"),
    "401": (http(401, error(message="Incorrect API key")), "authentication"),
    "402": (http(402, error(message="Payment required")), "quota"),
    "403": (http(403, {"detail": "not yours"}), "permission"),
    "404": (http(404, {"detail": "Not Found"}), "not_found"),
    "408": (http(408, b"", "text/plain"), "timeout"),
    "429 too fast": (http(429, error(message="slow down", code="rate_limit_exceeded")), "rate_limit"),
    "429 no money": (http(429, error(message="no credit", code="insufficient_quota")), "quota"),
    "500 of the provider": (http(500, error(message="The server had an error")), "provider"),
    "500 of the gateway": (http(500, b"Internal Server Error", "text/plain"), "gateway"),
    "502 page": (http(502, b"<html>502</html>", "text/html"), "gateway"),
    "504 page": (http(504, b"<html>504</html>", "text/html"), "timeout"),
    "200 that is an error": (http(200, error(message="overloaded", code=503)), "provider"),
    "slow headers": (drip_headers, "timeout"),
    "slow body": (drip_body, "timeout"),
    "silence": (hang, "timeout"),
    "JSON cut short": (http(200, b'{"choices": [{"mess'), "protocol"),
    "body cut short": (cut_body, "network"),
    "wrong content type": (http(200, b"<html>Sign in</html>", "text/html"), "protocol"),
    "stream instead of JSON": (http(200, TEXT + END + DONE, "text/event-stream"), "protocol"),
    "no choices": (http(200, {"choices": []}), "protocol"),
    "a number": (http(200, 7), "protocol"),
    "nothing": (http(200, b""), "protocol"),
    "no content": (raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "protocol"),
    "JSON of great depth": (http(200, b"[" * 100_000), "protocol"),
    "redirect loop": (http(302, b"", Location="/gateway/chat/invocations"), "protocol"),
    "redirect elsewhere": (http(307, b"", Location="https://gateway.example/"), "protocol"),
    "gzip garbage": (gzip_garbage(), "protocol"),
    "gzip bomb": (gzip_bomb(), "protocol"),
    "too large": (http(200, b'{"a": "' + TOO_LONG_LINE + b'"}'), "protocol"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
    "header without end": (endless_headers, "protocol"),
    "reset": (reset, "network"),
    "closed": (close, "network"),
}

STREAMS: dict[str, tuple[Answer, str]] = {
    "cut between events": (stream(HEAD, TEXT, whole=False), "stream_cut"),
    "cut inside an event": (stream(HEAD, TEXT, b'data: {"choices": [{"del', whole=False), "stream_cut"),
    "ended without a finish reason": (stream(HEAD, TEXT), "stream_cut"),
    "ended inside an event": (stream(HEAD, TEXT, b'data: {"choices": [{"del'), "stream_cut"),
    "no event at all": (stream(b": nothing to say\n\n"), "stream_cut"),
    "an event that is no JSON": (stream(HEAD, b"data: <html>\n\n", TEXT, END, DONE), "protocol"),
    "an event that is a list": (stream(HEAD, b"data: []\n\n", DONE), "protocol"),
    "a whole answer instead": (http(200, completion()), "protocol"),
    "a page instead": (http(200, b"<html>", "text/html"), "protocol"),
    "comments for ever": (drip_stream, "timeout"),
    "a line of 10 MB, cut": (stream(HEAD, b"data: " + LONG_LINE), "stream_cut"),
    "a line of 20 MB": (stream(HEAD, b"data: " + TOO_LONG_LINE), "protocol"),
    "no end": (endless_stream, "protocol"),
    "an error event": (stream(HEAD, b'data: {"error": {"message": "boom"}}\n\n'), "provider"),
    "no money in an event": (
        stream(b'data: {"error": {"message": "x", "code": "insufficient_quota"}}\n\n'),
        "quota",
    ),
    "429 instead": (http(429, error(message="x", code="rate_limit_exceeded")), "rate_limit"),
}

Ask = Callable[[HostileServer, Path, bool], str]


@pytest.fixture
def host() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


def by_ask(host: HostileServer, directory: Path, streamed: bool) -> str:
    """Return the class that `ask` tells; `run` makes its calls by the same function."""
    timeout = str(TIMEOUT_S if must_time_out(host) else 20)
    arguments = ["--timeout", timeout, "--stream" if streamed else "--no-stream", "--json"]
    ended = gateway_eval(directory, "ask", host.url, "Hello", *arguments)
    assert ended.code != 0
    name = ended.json()["rows"][0]["error_class"]
    assert f"{name}: " in ended.err
    return str(name)


def by_load(host: HostileServer, directory: Path, streamed: bool) -> str:
    """Return the class that `load` counts, of which its exit code says the same."""
    timeout = str(TIMEOUT_S if must_time_out(host) else 20)
    arguments = ["--concurrency", "1", "--requests", "1", "--timeout", timeout, "--json", "-q"]
    ended = gateway_eval(directory, "load", host.url, *arguments, *(["--stream"] if streamed else []))
    totals = ended.json()["totals"]
    assert (totals["requests"], totals["failed_requests"]) == (1, 1), totals
    assert ended.code != 0
    [(name, found)] = totals["errors"].items()
    assert found["count"] == 1
    assert found["advice"]
    [message] = found["messages"]
    assert "\n" not in message
    return name


def must_time_out(host: HostileServer) -> bool:
    return host.answers[0] in (drip_headers, drip_body, drip_stream, hang)


@pytest.mark.parametrize("asked_by", [by_ask, by_load])
@pytest.mark.parametrize("name", WHOLE)
def test_a_bad_answer_has_one_class(host: HostileServer, tmp_path: Path, name: str, asked_by: Ask) -> None:
    answer, expected = WHOLE[name]
    host.will(answer)
    assert asked_by(host, tmp_path, False) == expected
    assert len(host.calls) == 1, "nothing is retried or followed on its own"


@pytest.mark.parametrize("asked_by", [by_ask, by_load])
@pytest.mark.parametrize("name", STREAMS)
def test_a_bad_stream_has_one_class(host: HostileServer, tmp_path: Path, name: str, asked_by: Ask) -> None:
    answer, expected = STREAMS[name]
    host.will(answer)
    assert asked_by(host, tmp_path, True) == expected
    assert len(host.calls) == 1


def test_odd_but_good_answers_are_taken(host: HostileServer, tmp_path: Path) -> None:
    body = json.dumps(completion()).encode()
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(200, body)
    until_closed = raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
    host.will(interim, until_closed, http(200, body), http(200, body))
    ended = gateway_eval(tmp_path, "load", host.url, "--concurrency", "1", "--requests", "4", "--json", "-q")
    assert ended.code == 0
    assert ended.json()["totals"]["failed_requests"] == 0
    assert len(host.calls) == 4


def test_answers_that_nobody_asked_for_are_not_taken_for_the_next_one(
    host: HostileServer, tmp_path: Path
) -> None:
    host.will(http(200, completion()) + http(500, b"surplus"), http(200, completion()))
    ended = gateway_eval(tmp_path, "load", host.url, "--concurrency", "1", "--requests", "5", "--json", "-q")
    assert ended.json()["totals"]["failed_requests"] == 0
    assert len(host.calls) == 5


def test_a_connection_that_is_closed_between_calls_is_told_from_a_host_that_dies(
    host: HostileServer, tmp_path: Path
) -> None:
    body = http(200, completion())
    host.will(body, raw(b""), body)
    ended = gateway_eval(tmp_path, "load", host.url, "--concurrency", "1", "--requests", "3", "--json", "-q")
    [message] = ended.json()["totals"]["errors"]["network"]["messages"]
    assert "a connection that it had kept open" in message


def test_a_key_that_a_host_repeats_is_nowhere(host: HostileServer, tmp_path: Path) -> None:
    key = "sk-canary-0123456789"
    host.will(http(401, error(message=f"Bad credentials: {key}", code=key)))
    results = ["--results", "load.json", "--results", "load.html"]
    ended = gateway_eval(
        tmp_path,
        "load",
        host.url,
        "--concurrency",
        "1",
        "--requests",
        "1",
        "--api-key-env",
        "K",
        *results,
        K=key,
    )
    assert ended.code == 4
    assert host.calls[0].headers["authorization"] == f"Bearer {key}"
    written = [(tmp_path / name).read_text() for name in ("load.json", "load.html")]
    assert not any(key in text for text in [ended.out, ended.err, *written])
    assert all("[redacted]" in text for text in written)
