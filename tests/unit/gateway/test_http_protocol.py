"""HTTP towards callers: what goes over the connection, and when it is closed."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway_serve.http_protocol import Protocol

GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
Conversation = Callable[["Connection"], Any]


class Connection(asyncio.Transport):
    """A caller's connection; `writes` is what was sent over it, write by write."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.writes: list[bytes] = []
        self.closed = False
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""

    def is_closing(self) -> bool:
        return self.closed

    async def ask(self, data: bytes, answers: int = 1) -> list[bytes]:
        """Send requests and return all that was written once so many answers are complete."""
        before = self.protocol.server_state.total_requests
        self.protocol.data_received(data)
        await until(lambda: self.protocol.server_state.total_requests >= before + answers)
        written, self.writes = self.writes, []
        return written


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


async def app(scope: Any, _receive: Any, send: Any) -> None:
    """Answer with the path: as a whole, in pieces, or as /broken says, with a header that is none."""
    if scope["type"] == "lifespan":
        return
    path = scope["path"].encode()
    headers = [(b"x-query", scope["query_string"])]
    if path == b"/pieces":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})
        return
    if path == b"/broken":
        headers = [(b"x-evil", b"a\r\nset-cookie: b")]
    headers.append((b"content-length", b"%d" % len(path)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": path})


def converse(conversation: Conversation, keep_alive: float = 60) -> None:
    async def run() -> None:
        config = uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=0)
        config.timeout_keep_alive = keep_alive  # type: ignore[assignment]
        state = ServerState()
        state.default_headers = [(b"server", b"test")]
        loop = asyncio.get_running_loop()
        await conversation(Connection(Protocol(config=config, server_state=state, app_state={}, _loop=loop)))

    asyncio.run(run())


def test_an_answer_goes_out_in_one_piece() -> None:
    async def conversation(connection: Connection) -> None:
        written = await connection.ask(GET % b"a%20b?c=d")
        assert written == [
            b"HTTP/1.1 200 OK\r\nserver: test\r\nx-query: c=d\r\ncontent-length: 4\r\n\r\n/a b"
        ]
        assert await connection.ask(GET % b"again")
        assert not connection.closed

    converse(conversation)


def test_pieces_go_out_one_by_one_the_head_with_the_first() -> None:
    async def conversation(connection: Connection) -> None:
        head, two, end = await connection.ask(GET % b"pieces")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        assert (two, end) == (b"3\r\ntwo\r\n", b"0\r\n\r\n")

    converse(conversation)


def test_requests_in_a_row_are_answered_in_their_order() -> None:
    async def conversation(connection: Connection) -> None:
        written = await connection.ask(GET % b"first" + GET % b"pieces" + GET % b"third", answers=3)
        whole = b"".join(written)
        assert whole.count(b"HTTP/1.1 200 OK") == 3
        assert whole.index(b"/first") < whole.index(b"two") < whole.index(b"/third")

    converse(conversation)


@pytest.mark.parametrize(
    "request_head",
    [b"GET /a HTTP/1.0\r\n\r\n", b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
    ids=["HTTP/1.0", "asked to"],
)
def test_who_wants_no_more_is_told_that_it_is_the_end(request_head: bytes) -> None:
    async def conversation(connection: Connection) -> None:
        (written,) = await connection.ask(request_head)
        assert b"\r\nconnection: close\r\n" in written
        assert connection.closed

    converse(conversation)


def test_a_question_for_the_head_gets_no_body() -> None:
    async def conversation(connection: Connection) -> None:
        (written,) = await connection.ask(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n")
        assert written.endswith(b"content-length: 2\r\n\r\n")

    converse(conversation)


def test_a_header_cannot_make_another() -> None:
    async def conversation(connection: Connection) -> None:
        connection.protocol.data_received(GET % b"broken")
        await until(lambda: connection.closed)
        assert b"set-cookie" not in b"".join(connection.writes)

    converse(conversation)


def test_an_idle_connection_is_closed() -> None:
    async def conversation(connection: Connection) -> None:
        await connection.ask(GET % b"a")
        await until(lambda: connection.closed)

    converse(conversation, keep_alive=0.05)


def test_a_connection_in_use_is_not_closed_when_its_time_comes() -> None:
    async def conversation(connection: Connection) -> None:
        await connection.ask(GET % b"a")
        connection.protocol.timeout_keep_alive_handler()  # not idle for that long
        connection.protocol.data_received(b"GET /a HTTP/1.1\r\n")
        connection.protocol.timeout_keep_alive = 0
        connection.protocol.timeout_keep_alive_handler()  # not idle
        assert not connection.closed
        assert await connection.ask(b"host: x\r\n\r\n")

    converse(conversation)
