"""HTTP as an evaluation needs it: nothing retried or followed, every trouble told apart, all bounded."""

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
import urllib3
from requests.auth import AuthBase

from gateway_eval.deadline import Deadline, DeadlineAdapter
from gateway_eval.failure import CallError, Failure, FailureClass, from_answer
from gateway_eval.version import version

MAX_BODY_BYTES = 16 * 1024 * 1024
_READ_BYTES = 64 * 1024


class _Key(AuthBase):
    """Sends the key given, or none at all: without it `requests` would look one up in ~/.netrc."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


@dataclass
class Answer:
    """The head of an answer, and its body as it comes.

    Times are in milliseconds from the moment the request was made; header names are in lower case.
    """

    status: int
    headers: dict[str, str]
    tls: dict[str, Any] | None
    _response: requests.Response = field(repr=False)
    _deadline: Deadline = field(repr=False)
    _timeout_s: float
    _started: float

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the request was made."""
        return (time.perf_counter() - self._started) * 1000

    def chunks(self) -> Iterator[bytes]:
        """Yield the decoded body as it arrives; `CallError` where it breaks, stalls, or is over 16 MiB."""
        total = 0
        while True:
            with _translated(self._deadline, self._timeout_s, status=self.status):
                chunk = self._response.raw.read1(_READ_BYTES, decode_content=True)
                if self._deadline.expired:
                    raise TimeoutError
            if not chunk:
                return
            total += len(chunk)
            if total > MAX_BODY_BYTES:
                raise CallError(
                    Failure.of(
                        FailureClass.PROTOCOL,
                        f"the answer is larger than {MAX_BODY_BYTES // 1024**2} MiB",
                        http_status=self.status,
                    )
                )
            yield chunk

    def text(self) -> str:
        """Return the whole body as text."""
        return b"".join(self.chunks()).decode("utf-8", "replace")

    def json_or_text(self) -> Any:
        """Return the body decoded where it is JSON, else as text."""
        text = self.text()
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text

    def json(self) -> Any:
        """Return the body of a success, which has to be JSON; `CallError` for any other answer."""
        body = self.json_or_text()
        if self.status >= 300:
            raise CallError(from_answer(self.status, self.headers, body))
        if isinstance(body, str):
            kind = self.headers.get("content-type", "no content type")
            raise CallError(
                Failure.of(
                    FailureClass.PROTOCOL,
                    f"HTTP {self.status} with a body that is not JSON ({kind}): {body[:80] or 'empty'}",
                    http_status=self.status,
                )
            )
        return body


class HttpClient:
    """Calls one host, with one session and so one pool of connections per thread.

    `timeout_s` bounds a whole call: connecting, sending, waiting and reading to the end. `ends_at`, a moment
    of `time.monotonic()`, bounds all calls together. `headers` go with every call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        ends_at: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url
        self.timeout_s = timeout_s
        self._ends_at = ends_at
        self._headers = dict(headers or {})
        self._api_key = api_key
        self._local = threading.local()
        self._open: set[Deadline] = set()
        self._aborted = False

    def with_key(self, api_key: str | None) -> "HttpClient":
        """Return a client of the same host that sends another key, or none."""
        return HttpClient(
            self.base_url,
            api_key=api_key,
            timeout_s=self.timeout_s,
            ends_at=self._ends_at,
            headers=self._headers,
        )

    def abort(self) -> None:
        """End the calls under way in any thread, and let none begin."""
        self._aborted = True
        for deadline in list(self._open):
            deadline.abort()

    @contextmanager
    def _under_way(self, deadline: Deadline) -> Iterator[None]:
        self._open.add(deadline)
        try:
            if self._aborted:
                raise CallError(Failure.of(FailureClass.INTERRUPTED, "interrupted before the call"))
            yield
        finally:
            self._open.discard(deadline)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.headers["User-Agent"] = f"gateway-eval/{version()}"
            session.headers.update(self._headers)
            session.auth = _Key(self._api_key)
            for scheme in ("http://", "https://"):
                session.mount(scheme, DeadlineAdapter())
            self._local.session = session
        return session

    @contextmanager
    def call(
        self, method: str, path: str, body: Any = None, *, content: bytes | None = None
    ) -> Iterator[Answer]:
        """Make one call and give its answer while its body is read; `CallError` where none comes.

        `body` is sent as JSON, `content` as it is, though called JSON.
        """
        started = time.perf_counter()
        timeout_s = self.timeout_s
        if self._ends_at is not None:
            timeout_s = min(timeout_s, self._ends_at - time.monotonic())
            if timeout_s <= 0:
                raise CallError(
                    Failure.of(FailureClass.TIMEOUT, f"no complete answer within {self.timeout_s:g} s")
                )
        with Deadline(timeout_s) as deadline, self._under_way(deadline):
            with _translated(deadline, self.timeout_s):
                response = self._session().request(
                    method,
                    self.base_url + path,
                    json=body,
                    data=content,
                    headers={
                        "Accept": "application/json, text/event-stream",
                        **({} if content is None else {"Content-Type": "application/json"}),
                    },
                    timeout=timeout_s,
                    allow_redirects=False,
                    stream=True,
                )
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                yield Answer(
                    response.status_code, headers, deadline.tls, response, deadline, self.timeout_s, started
                )
            finally:
                response.close()
                if response.status_code >= 500:
                    # A server that failed may close the connection just after saying so, as uvicorn does;
                    # the next call would meet its end and look like a failure of its own.
                    self._session().close()

    def get_json(self, path: str) -> Any:
        """Return the JSON at a path; `CallError` for anything else."""
        with self.call("GET", path) as answer:
            return answer.json()


@contextmanager
def _translated(deadline: Deadline, timeout_s: float, status: int | None = None) -> Iterator[None]:
    """Turn whatever the transport raises into a `CallError` with one cause.

    `status` is that of the answer being read, where one has begun.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if deadline.aborted:
            failure = Failure.of(FailureClass.INTERRUPTED, "interrupted during the call", http_status=status)
        elif deadline.expired:
            failure = Failure.of(
                FailureClass.TIMEOUT, f"no complete answer within {timeout_s:g} s", http_status=status
            )
        else:
            failure = _transport_failure(error, timeout_s, status)
        raise CallError(failure) from error


def _transport_failure(error: BaseException, timeout_s: float, status: int | None) -> Failure:
    causes = list(_causes(error))
    text = " ".join(f"{type(cause).__name__} {cause}" for cause in causes)

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if caused_by(requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError):
        return _tls_failure(causes)
    if caused_by(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return Failure.of(
            FailureClass.NETWORK,
            "the proxy that the environment names does not answer",
            advice="Correct HTTP_PROXY and HTTPS_PROXY, or name the host in NO_PROXY.",
        )
    if caused_by(urllib3.exceptions.NameResolutionError):
        return Failure.of(
            FailureClass.NETWORK,
            "the host's name is not known (DNS)",
            advice="Check the name in the URL for a typing error.",
        )
    if caused_by(requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError):
        return Failure.of(
            FailureClass.PROTOCOL, "the body is not what its Content-Encoding says", http_status=status
        )
    if caused_by(ConnectionRefusedError):
        return Failure.of(
            FailureClass.NETWORK,
            "connection refused",
            advice="Nothing listens there: check the port, and that the gateway runs.",
        )
    if caused_by(urllib3.exceptions.NewConnectionError):  # before timeouts: urllib3 counts it as one of them
        return Failure.of(FailureClass.NETWORK, _reason(causes))
    if caused_by(urllib3.exceptions.ConnectTimeoutError):
        return Failure.of(FailureClass.TIMEOUT, f"no connection within {timeout_s:g} s")
    if caused_by(requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
        return Failure.of(
            FailureClass.TIMEOUT, f"no complete answer within {timeout_s:g} s", http_status=status
        )
    if any(
        sign in text
        for sign in ("BadStatusLine", "LineTooLong", "HTTPException", "InvalidHeader", "InvalidChunkLength")
    ):
        return Failure.of(
            FailureClass.PROTOCOL, "the host does not speak HTTP as it should", http_status=status
        )
    if status is not None or caused_by(ConnectionResetError, BrokenPipeError) or "RemoteDisconnected" in text:
        when = "in the middle of its answer" if status is not None else "before it answered"
        return Failure.of(
            FailureClass.NETWORK,
            f"the host closed the connection {when}",
            advice="The host or a proxy on the way died or gave up: look at their logs.",
            http_status=status,
        )
    return Failure.of(FailureClass.NETWORK, _reason(causes))


def _tls_failure(causes: list[BaseException]) -> Failure:
    text = " ".join(str(cause) for cause in causes)
    verify = next((cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if verify is not None:
        return Failure.of(
            FailureClass.NETWORK,
            f"TLS: the host's certificate is not trusted: {verify.verify_message}",
            advice="Renew the certificate, or name your CA's bundle in REQUESTS_CA_BUNDLE.",
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return Failure.of(
            FailureClass.NETWORK,
            "TLS: the host does not speak TLS on this port",
            advice="Try http:// or another port.",
        )
    if "during the handshake" in text or "EOF occurred" in text or "UNEXPECTED_EOF" in text:
        return Failure.of(
            FailureClass.NETWORK,
            "TLS: the host closed the connection during the handshake",
            advice="Does it speak TLS on this port? If not, try http:// or another port.",
        )
    return Failure.of(
        FailureClass.NETWORK,
        f"TLS: {_reason(causes)}",
        advice="Compare the TLS versions and certificates of both sides.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that it was made from: causes, contexts, and urllib3's own nesting."""
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        current = pending.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]


def _reason(causes: list[BaseException]) -> str:
    """Return the words of the operating system where there are any, else the kind of error."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(causes[0]).__name__
