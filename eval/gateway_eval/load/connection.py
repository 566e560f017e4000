"""One HTTP/1.1 connection that carries one call after the other.

It is written on httptools, not on a client library, since what those do for each call (several times what
parsing takes) would be measured as the host's latency, and would be the limit long before the host is.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from typing import cast

import httptools

from gateway_eval.failure import Failure, FailureClass
from gateway_eval.load.reading import AnswerReader
from gateway_eval.load.sample import Sample

# As much as http.client of Python's standard library takes.
_MAX_HEAD_BYTES = 64 * 1024

Done = Callable[["Connection", Sample], None]


class Connection(asyncio.Protocol):
    """A connection; `on_done` is told when a call has ended, and `on_lost` when an idle one has closed.

    `usable` says whether another call can be sent.
    """

    def __init__(self, *, stream: bool, on_done: Done, on_lost: Callable[["Connection"], None]) -> None:
        self.usable = False
        self._stream = stream
        self._on_done = on_done
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sample: Sample | None = None
        self._reader: AnswerReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timeout = 0.0
        self._calls = 0
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._complete = False

    def send(self, sample: Sample, request: bytes, timeout: float) -> None:
        """Send a call. `timeout` bounds it to its last byte, in seconds from now."""
        assert self._transport is not None  # noqa: S101 (for the type checker)
        self._sample, self._reader = sample, None
        self._calls += 1
        self._headers, self._head_bytes, self._complete = {}, 0, False
        self._timeout = timeout
        self._timer = self._loop.call_later(timeout, self._expire)
        sample.sent = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        """Close it at once; of a call under way nothing more is told."""
        self._release()
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _release(self) -> None:
        self._sample = None
        if self._timer is not None:
            self._timer.cancel()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._sample is None:  # the host speaks without being asked
            self.close()
            return
        if self._reader is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._end(_no_http(self._status()))
            return
        if self._complete:
            self._finish()
        elif self._reader is not None and self._reader.failure is not None:
            self._end(self._reader.failure)
        elif self._reader is None and self._head_bytes > _MAX_HEAD_BYTES:
            self._end(_no_http(None))

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._sample is None:
            self._on_lost(self)
            return
        if self._reader is not None and exc is None and self._ends_with_the_connection():
            self._finish()
            return
        if self._reader is not None:
            message = "the host closed the connection in the middle of its answer"
            self._end(self._reader.failure or self._reader.cut(message))
        elif self._calls > 1:
            self._end(_closed_idle())
        else:
            self._end(_closed("the host closed the connection before it answered"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._complete:  # an answer to a call that was not made
            self.usable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and self._sample is not None and not self._complete:
            self._reader = AnswerReader(self._sample, status, self._headers, stream=self._stream)

    def on_body(self, data: bytes) -> None:
        if self._reader is not None and not self._complete:
            self._reader.take(data)

    def on_message_complete(self) -> None:
        if self._reader is None:  # an interim answer, such as 103
            self._headers = {}
        else:
            self._complete = True
            # The parser knows only now: afterwards it is ready for the next answer.
            self.usable = self.usable and self._parser.should_keep_alive()

    def _ends_with_the_connection(self) -> bool:
        return not self._headers.keys() & {"content-length", "transfer-encoding"}

    def _status(self) -> int | None:
        return self._parser.get_status_code() if self._reader is not None else None

    def _finish(self) -> None:
        assert self._reader is not None  # noqa: S101 (for the type checker)
        self._reader.end()
        self._end(self._reader.failure, keep=self.usable)

    def _expire(self) -> None:
        message = f"no complete answer within {self._timeout:g} s"
        self._end(Failure.of(FailureClass.TIMEOUT, message, http_status=self._status()))

    def _end(self, failure: Failure | None, *, keep: bool = False) -> None:
        sample = self._sample
        if sample is None:
            return
        sample.ended = time.perf_counter()
        sample.failure = failure
        self._release()
        if not keep:
            self.close()
        self._on_done(self, sample)


def connect_failure(error: BaseException, timeout: float) -> Failure:
    """Return the failure of a call for which no connection could be made."""
    match error:
        case TimeoutError():
            return Failure.of(FailureClass.TIMEOUT, f"no connection within {timeout:g} s")
        case ssl.SSLError():
            reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
            return Failure.of(
                FailureClass.NETWORK,
                f"TLS: {reason or 'the handshake failed'}",
                advice="Compare the TLS versions and certificates of both sides.",
            )
        case ConnectionRefusedError():
            return Failure.of(
                FailureClass.NETWORK,
                "connection refused",
                advice="Nothing listens there, or not fast enough: look whether the host was overwhelmed.",
            )
        case socket.gaierror():
            return Failure.of(FailureClass.NETWORK, "the host's name is not known (DNS)")
        case ConnectionError():
            return _closed("the host closed the connection before it answered")
        case OSError():
            return Failure.of(FailureClass.NETWORK, error.strerror or type(error).__name__)
    return Failure.of(FailureClass.NETWORK, type(error).__name__)


def _closed_idle() -> Failure:
    return Failure.of(
        FailureClass.NETWORK,
        "the host closed a connection that it had kept open, as the next call was sent on it",
        advice="It kept it for too short a time or was reloaded: other callers see this too; raise its "
        "keep-alive timeout.",
    )


def _closed(message: str) -> Failure:
    return Failure.of(
        FailureClass.NETWORK,
        message,
        advice="The host or a proxy on the way died or gave up: look at their logs.",
    )


def _no_http(status: int | None) -> Failure:
    return Failure.of(FailureClass.PROTOCOL, "the host does not speak HTTP as it should", http_status=status)
