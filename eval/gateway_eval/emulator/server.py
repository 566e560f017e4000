"""Runs the emulator on uvicorn."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway_eval.emulator.app import Emulator

# A call that is being answered when the server is told to stop has this long to end.
_GRACE_SECONDS = 5
# Longer than any client keeps an idle connection, so that none is closed under a request that is on its way.
_KEEP_ALIVE_SECONDS = 600


class _Protocol(HttpToolsProtocol):
    """Lets the application close a connection without an answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"emulator.transport": self.transport}  # type: ignore[dict-item]


class _Server(uvicorn.Server):
    """Ends with its own exit code on a signal; uvicorn's would raise the signal once more."""

    def __init__(self, config: uvicorn.Config, emulator: Emulator, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._emulator = emulator
        self._on_ready = on_ready
        self.signal: int | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def _stop(self, number: int) -> None:
        self.signal = number
        self.should_exit = True
        self._emulator.closing.set()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises OSError where that is not possible."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener


def check_tls(certificate: Path, key: Path) -> None:
    """Raise ssl.SSLError where the certificate and the key cannot be used together."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)


def _is_no_fault_on_demand(record: logging.LogRecord) -> bool:
    # An answer cut short on purpose looks like a bug of the application to uvicorn.
    return not str(record.msg).startswith("ASGI callable returned without")


def serve(
    emulator: Emulator,
    listener: socket.socket,
    *,
    tls: tuple[Path, Path] | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> int | None:
    """Serve until SIGTERM or SIGINT and return the signal's number. `tls` is a certificate and its key."""
    logger = logging.getLogger("uvicorn.error")
    logger.setLevel(logging.ERROR)
    logger.addFilter(_is_no_fault_on_demand)
    config = uvicorn.Config(
        emulator,
        http=_Protocol,
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    # Calls leave no cycles behind, and those that are remembered would be looked through again and again.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    server = _Server(config, emulator, on_ready)
    server.run([listener])
    return server.signal
