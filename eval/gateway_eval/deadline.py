"""A limit on a whole HTTP call, which `requests` does not have: its timeouts start again with each byte."""

import os
import socket
import ssl
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

    Within the block, `expired` tells an end by deadline from any other, `aborted` that someone gave the call
    up; `tls` describes the connection.
    Calls go through sessions that have a `DeadlineAdapter`.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.aborted = False
        self.tls: dict[str, Any] | None = None
        self._handle: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self.expire)
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
        self._hold(None)

    def expire(self) -> None:
        """End the call now, from any thread."""
        self.expired = True
        with self._lock:
            if self._handle is not None:
                _shut_down(self._handle)

    def abort(self) -> None:
        """End the call because nobody waits for it any more."""
        self.aborted = True
        self.expire()

    def watch(self, connected: Any) -> None:
        """Take charge of a connection's socket, which may just have been opened."""
        if connected is None:
            return
        self.tls = tls_facts(connected)
        # A handle of our own: the TLS handshake takes the socket's away, and closing frees its number.
        self._hold(socket.socket(fileno=os.dup(connected.fileno())))
        if self.expired:
            self.expire()

    def _hold(self, handle: socket.socket | None) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            self._handle = handle


def _shut_down(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed by the other side


def _watched(connected: socket.socket) -> socket.socket:
    _watch(connected)
    return connected


def _watch(connected: Any) -> None:
    deadline: Deadline | None = getattr(_active, "deadline", None)
    if deadline is not None:
        deadline.watch(connected)


class _WatchedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self.sock)
        super().request(*args, **kwargs)


class _WatchedTLSConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())

    def connect(self) -> None:
        """Connect and shake hands.

        A host that has no TLS there may close with bytes unread, and so reset the connection: that is the
        handshake's end, not some trouble of the network.
        """
        try:
            super().connect()
        except (ConnectionResetError, ConnectionAbortedError, BrokenPipeError) as error:
            if self._tunnel_host is None and isinstance(self.sock, socket.socket):
                raise ssl.SSLError("the host closed the connection during the handshake") from error
            raise
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
