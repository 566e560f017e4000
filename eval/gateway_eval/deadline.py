"""A limit on a whole HTTP call, which `requests` does not have: its timeouts start again with each byte."""

import socket
import threading
from types import TracebackType
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager

from gateway_eval.tls_facts import tls_facts

_active = threading.local()


class Deadline:
    """Ends the calling thread's HTTP call after so many seconds by shutting its socket down.

    Within the block, `expired` tells an end by deadline from any other; `tls` describes the connection.
    Calls go through sessions that have a `DeadlineAdapter`.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.tls: dict[str, Any] | None = None
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _active.deadline = self
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        _active.deadline = None

    def _expire(self) -> None:
        self.expired = True
        if self._socket is not None:
            _shut_down(self._socket)

    def watch(self, connected: Any) -> None:
        """Take charge of a connection's socket, which may just have been opened."""
        self._socket = connected
        self.tls = tls_facts(connected)
        if self.expired and connected is not None:
            _shut_down(connected)


def _shut_down(connected: socket.socket) -> None:
    # Not SSLSocket.shutdown: it drops the TLS state under the thread that is reading.
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:
        return  # closed already


def _watch(connected: Any) -> None:
    deadline: Deadline | None = getattr(_active, "deadline", None)
    if deadline is not None:
        deadline.watch(connected)


class _WatchedConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self.sock)
        super().request(*args, **kwargs)


class _WatchedTLSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self.sock)
        super().request(*args, **kwargs)


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLSConnection


class DeadlineAdapter(HTTPAdapter):
    """A transport whose calls a `Deadline` can end. It never retries and never follows a redirect."""

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Make the pools whose connections report their sockets."""
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTLSPool}

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        """Do the same where the environment names a proxy."""
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTLSPool}
        return manager
