"""A host on loopback that lists one chat endpoint and then answers calls as badly as it is told to."""

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Answer = bytes | Callable[[socket.socket, "HostileServer"], None]

LISTING = {
    "endpoints": [
        {
            "name": "embeddings",
            "endpoint_type": "llm/v1/embeddings",
            "model": {"name": "text-embedding-3-small", "provider": "openai"},
        },
        {
            "name": "chat",
            "endpoint_type": "llm/v1/chat",
            "model": {"name": "gpt-4o-mini", "provider": "openai"},
        },
    ]
}


def http(status: int, body: Any = b"", content_type: str = "application/json", **headers: str) -> bytes:
    """Return a whole HTTP answer; a body that is no bytes becomes JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {content_type}", f"Content-Length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload


def completion(text: str = "Ada", **more: Any) -> dict[str, Any]:
    """Return a good chat answer of 10 tokens in and 5 out."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        **more,
    }


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a streamed chat answer."""
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    document = {"id": "chatcmpl-1", "model": "gpt-4o-mini-2024-07-18", "choices": choices, **more}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def stream(*events: bytes, whole: bool = True) -> Answer:
    """Return an answer of events in chunked encoding; without `whole` the connection closes early."""

    def answer(connection: socket.socket, _server: "HostileServer") -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for data in events:
            connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        if whole:
            connection.sendall(b"0\r\n\r\n")

    return answer


def hang(_connection: socket.socket, server: "HostileServer") -> None:
    """Say nothing, until the test is over."""
    server.over.wait(60)


def drip_headers(connection: socket.socket, server: "HostileServer") -> None:
    """Send a header that never ends, byte by byte: no single wait is long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not server.over.wait(0.05):
        connection.sendall(b"a")


def drip_body(connection: socket.socket, server: "HostileServer") -> None:
    """Send a body that never ends, byte by byte."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while not server.over.wait(0.05):
        connection.sendall(b" ")


def drip_stream(connection: socket.socket, server: "HostileServer") -> None:
    """Send comments, as a proxy does to keep a connection open, and never an answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while not server.over.wait(0.05):
        connection.sendall(b": ping\n\n")


def reset(connection: socket.socket, _server: "HostileServer") -> None:
    """Close with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(_connection: socket.socket, _server: "HostileServer") -> None:
    """Close without a word."""


def cut_body(connection: socket.socket, _server: "HostileServer") -> None:
    """Promise more bytes than come."""
    body = json.dumps(completion()).encode()
    connection.sendall(http(200, body)[:-40])


def gzip_garbage() -> bytes:
    """Return a body that says it is gzip and is not."""
    return http(200, b"\x1f\x8b\x08 this is no gzip", Content_Encoding="gzip")


def gzip_bomb() -> bytes:
    """Return a body of 64 MB of zeros, in 64 KB."""
    return http(200, gzip.compress(b"0" * 64_000_000), Content_Encoding="gzip")


def echo_key(connection: socket.socket, server: "HostileServer") -> None:
    """Repeat the caller's credentials, as a careless gateway does."""
    said = server.requests[-1].headers.get("authorization", "none")
    connection.sendall(http(401, {"error": {"message": f"Bad credentials: {said}", "code": said}}))


def echo_key_in_answer(connection: socket.socket, server: "HostileServer") -> None:
    """Repeat the caller's credentials in a good answer."""
    said = server.requests[-1].headers.get("authorization", "none")
    connection.sendall(http(200, completion(f"You sent {said}"), X_Request_ID=f"id-{said}"))


def echo_key_in_stream(connection: socket.socket, server: "HostileServer") -> None:
    """Repeat the caller's credentials in a stream, cut in the middle of the key."""
    said = server.requests[-1].headers.get("authorization", "none")
    pieces = (event({"content": said[:12]}), event({"content": said[12:]}), event(finish="stop"))
    whole = stream(*pieces)
    if callable(whole):
        whole(connection, server)


@dataclass
class Received:
    """A request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class HostileServer:
    """The host. Calls get `answers` in turn, the last one again and again; `gets` answers by path."""

    url: str
    answers: list[Answer] = field(default_factory=lambda: [http(200, completion())])
    gets: dict[str, Answer] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        """Set how calls are answered from now on."""
        self.answers[:] = answers

    @property
    def calls(self) -> list[Received]:
        """The calls to a model."""
        return [request for request in self.requests if request.method == "POST"]

    def _answer(self, request: Received) -> Answer:
        if request.method == "POST":
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return self.gets.get(request.path, http(404, {"detail": "Not Found"}))

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            if reader.peek(1)[:1] == b"\x16":  # the handshake of a caller that thinks this is TLS
                reader.read1()  # what is left unread at the end would reset the connection
                connection.sendall(http(400, b"no TLS here", "text/plain"))
                connection.shutdown(socket.SHUT_WR)
                reader.read()
                return
            while request := _read_request(reader):
                self.requests.append(request)
                answer = self._answer(request)
                if callable(answer):
                    answer(connection, self)
                    return
                connection.sendall(answer)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()


def _read_request(reader: Any) -> Received | None:
    words = reader.readline().decode("latin-1").split()
    if len(words) != 3:
        return None
    headers = {}
    while line := reader.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", 0)))
    try:
        content = json.loads(body) if body else None
    except ValueError:
        content = body
    return Received(words[0], words[1], headers, content)


@contextlib.contextmanager
def hostile_server() -> Iterator[HostileServer]:
    """Run a host that lists its endpoints as MLflow does, and is healthy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = HostileServer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server.gets = {"/api/2.0/endpoints/": http(200, LISTING), "/health": http(200, {"status": "OK"})}
        acceptor = threading.Thread(target=server._accept, args=(listener,), daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            server.over.set()
            # Closing alone would leave the thread in accept().
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(10)
