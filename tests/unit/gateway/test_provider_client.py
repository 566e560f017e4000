"""The client for providers keeps connections, gives up in time, and says what was sent and what was not."""

import asyncio
import gzip
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway_serve.provider_client import ProviderClient
from gateway_serve.provider_connection import BrokenError, Response, UnreachableError
from gateway_serve.target import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Last(bytes):
    """An answer after which the provider closes the connection."""


class Server:
    """A provider that answers every request with the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        self.target: Target

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                self.asked.set()
                writer.write(answer)
                if isinstance(answer, Last):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes, headers: Any = None):  # type: ignore[no-untyped-def]
    server = Server(*answers)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.target = Target(f"http://127.0.0.1:{port}/v1/chat?x=1", headers or {})
    client = ProviderClient()
    try:
        yield server, client
    finally:
        client.close()
        listener.close()


async def post(client: ProviderClient, server: Server, seconds: float = 30) -> Response:
    return await client.post(server.target, server.target.request(b"{}"), seconds)


async def whole(client: ProviderClient, server: Server) -> bytes:
    response = await post(client, server)
    body = await response.read()
    response.close()
    return body


def test_calls_one_after_another_share_a_connection() -> None:
    async def run() -> None:
        async with serving(OK, OK, OK, headers={"Authorization": "Bearer x"}) as (server, client):
            assert [await whole(client, server) for _ in range(3)] == [b"ok"] * 3
            assert server.connections == 1
            assert server.requests[2].startswith(b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")
            assert b"\r\nAuthorization: Bearer x\r\n" in server.requests[2]
            assert b"\r\nUser-Agent: mlflow-gateway-fleet/" in server.requests[2]

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_the_provider_will_close_is_not_used_again(answer: bytes) -> None:
    async def run() -> None:
        async with serving(answer, OK) as (server, client):
            assert [await whole(client, server) for _ in range(2)] == [b"ok"] * 2
            assert server.connections == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + gzip.compress(b"ok"),
    ],
)
def test_ways_to_send_an_answer(answer: bytes) -> None:
    async def run() -> None:
        async with serving(answer) as (server, client):
            assert await whole(client, server) == b"ok"

    asyncio.run(run())


def test_an_answer_that_ends_with_its_connection() -> None:
    async def run() -> None:
        async with serving(Last(b"HTTP/1.1 200 OK\r\n\r\nok"), OK) as (server, client):
            assert [await whole(client, server) for _ in range(2)] == [b"ok"] * 2

    asyncio.run(run())


@pytest.mark.parametrize(
    "answer", [Last(), b"SSH-2.0-x\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"]
)
def test_no_answer_is_a_broken_connection(answer: bytes) -> None:
    async def run() -> None:
        async with serving(answer) as (server, client):
            with pytest.raises(BrokenError):
                await post(client, server)
            assert len(server.requests) == 1

    asyncio.run(run())


def test_half_an_answer_is_a_broken_connection() -> None:
    async def run() -> None:
        async with serving(Last(OK[:-1])) as (server, client):
            response = await post(client, server)
            with pytest.raises(BrokenError):
                await response.read()
            response.close()

    asyncio.run(run())


def test_nobody_there() -> None:
    async def run() -> None:
        client = ProviderClient()
        target = Target("http://127.0.0.1:9/", {})
        with pytest.raises(UnreachableError):
            await client.post(target, target.request(b"{}"), 30)

    asyncio.run(run())


def test_a_provider_that_says_nothing_is_left_in_time() -> None:
    async def run() -> None:
        async with serving(b"") as (server, client):
            with pytest.raises(TimeoutError):
                await post(client, server, 0.05)
            await asyncio.wait_for(server.closed.wait(), 30)

    asyncio.run(run())


def test_a_call_given_up_closes_its_connection() -> None:
    async def run() -> None:
        async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", OK) as (server, client):
            response = await post(client, server)
            assert await response.read_some() == b"ok"
            response.close()
            response.close()
            await asyncio.wait_for(server.closed.wait(), 30)
            assert await whole(client, server) == b"ok"
            assert server.connections == 2

    asyncio.run(run())


def test_a_cancelled_call_closes_its_connection() -> None:
    async def run() -> None:
        async with serving(b"") as (server, client):
            call = asyncio.create_task(post(client, server))
            await server.asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(server.closed.wait(), 30)

    asyncio.run(run())


def test_a_slow_reader_holds_the_provider_back_and_loses_nothing() -> None:
    size = 8 * 2**20

    async def run() -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
        async with serving(answer, OK) as (server, client):
            response = await post(client, server)
            for _ in range(100):
                await asyncio.sleep(0)
            assert response._connection._buffered < size
            got = 0
            while piece := await response.read_some():
                got += len(piece)
            assert got == size
            response.close()
            assert await whole(client, server) == b"ok"

    asyncio.run(run())


def test_more_calls_than_connections_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_serve.provider_client.MAX_CONNECTIONS", 2)

    async def run() -> None:
        async with serving(*[OK] * 10) as (server, client):
            assert await asyncio.gather(*[whole(client, server) for _ in range(10)]) == [b"ok"] * 10
            assert server.connections == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://host/", {}),
        ("http://user:secret@host/", {}),
        ("/v1", {}),
        ("http://host/", {"Authorization": "Bearer x\r\nHost: y"}),
    ],
)
def test_what_is_no_target(url: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"http|header"):
        Target(url, headers)


def test_gzip_that_stands_for_more_than_any_answer_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_serve.provider_connection._MAX_ANSWER_BYTES", 1000)
    packed = gzip.compress(b"0" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)

    async def run() -> None:
        async with serving(head + packed) as (server, client):
            assert len(await whole(client, server)) <= 1000

    asyncio.run(run())


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_serve.provider_connection._MAX_ANSWER_BYTES", 1000)
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"

    async def run() -> None:
        async with serving(endless) as (server, client):
            response = await post(client, server)
            with pytest.raises(BrokenError):
                await response.read()
            response.close()

    asyncio.run(run())
