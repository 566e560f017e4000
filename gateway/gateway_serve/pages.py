"""What is no LLM call: health, metrics, and the gateway app's pages, which need a key as calls do."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from gateway_serve.asgi import App, Receive, Scope, Send
from gateway_serve.gatekeeper import Gatekeeper, Refusal
from gateway_serve.key_file import KeyFile
from gateway_serve.metrics import CONTENT_TYPE, Metrics
from gateway_serve.request_log import RequestLog

_JSON = b"application/json"


class Pages:
    """ASGI middleware, outermost: answers /health and /metrics, and asks for a key before other pages.

    A POST is passed on unseen unless it goes to MLflow's own API: it is a call, and the call's own affair.
    """

    def __init__(
        self,
        app: App,
        gatekeeper: Gatekeeper,
        metrics: Metrics,
        log: RequestLog,
        version: str,
        *,
        log_required: bool = False,
        keys: KeyFile | None = None,
    ) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._metrics = metrics
        self._log = log
        self._version = version
        self._log_required = log_required
        self._keys = keys
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http" or (scope["method"] == "POST" and not scope["path"].startswith("/api/")):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "GET":
            match scope["path"]:
                case "/health":
                    await self._answer_health(send)
                    return
                case "/metrics":
                    self._metrics.tallies.flush()
                    body = await asyncio.to_thread(self._metrics.exposition)
                    await _answer(send, 200, body, CONTENT_TYPE.encode())
                    return
        found = self._gatekeeper.authenticate(scope)
        if isinstance(found, Refusal):
            await _answer(send, found.status, found.body, _JSON, found.headers)
            return
        await self._app(scope, receive, send)

    async def _answer_health(self, send: Send) -> None:
        """Say whether this worker can serve, and what else is not as it should be."""
        log_problem = await self._log.check()
        key_problem = None
        if self._keys is not None and self._keys.problem is not None:
            # Not the problem itself: anybody may ask for this page.
            key_problem = "the file of keys cannot be used; the keys before it stay in force"
        stopping = "this worker is stopping" if self.stopping else None
        problems = [problem for problem in (stopping, log_problem, key_problem) if problem is not None]
        serves = not self.stopping and (self._log.problem is None or not self._log_required)
        status = "OK" if not problems else "DEGRADED" if serves else "UNHEALTHY"
        document: dict[str, Any] = {"status": status, "version": self._version}
        if problems:
            document["problems"] = problems
        await _answer(
            send, 200 if serves else 503, json.dumps(document, separators=(",", ":")).encode(), _JSON
        )


async def _answer(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    standard = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*standard, *headers]})
    await send({"type": "http.response.body", "body": body})
