"""The floor: the least that a Python gateway does, with none of what makes it one.

It reads the body, passes it on over pooled connections, passes the answer on as it comes and appends one JSON
line a call. It knows no endpoints, checks nothing and counts no tokens.

    python -m bench.passthrough UPSTREAM PORT LOG
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvicorn

_HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-bench"}


class Passthrough:
    """An ASGI app in front of one upstream; `log` is an open file descriptor."""

    def __init__(self, upstream: str, log: int) -> None:
        self._upstream = upstream
        self._log = log
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one HTTP request."""
        began = time.perf_counter()
        if scope["method"] != "POST":
            await _head(send, 200, b"text/plain")
            await send({"type": "http.response.body", "body": b"OK"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        answered = 0
        url = self._upstream + scope["path"].removeprefix("/v1")
        async with self._session.post(url, data=body, headers=_HEADERS) as response:
            await _head(send, response.status, response.content_type.encode())
            async for chunk in response.content.iter_any():
                answered += len(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self._append(scope["path"], response.status, time.perf_counter() - began, len(body), answered)

    def _append(self, path: str, status: int, seconds: float, asked: int, answered: int) -> None:
        line = {
            "received_at": datetime.now(UTC).isoformat(),
            "path": path,
            "http_status": status,
            "duration_ms": round(seconds * 1000, 3),
            "request_bytes": asked,
            "response_bytes": answered,
            "padding": "x" * 420,  # to the size of a request record with few values
        }
        os.write(self._log, json.dumps(line).encode() + b"\n")


async def _head(send: Any, status: int, content_type: bytes) -> None:
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


def main() -> None:
    """Serve on loopback until a signal ends it."""
    upstream, port, path = sys.argv[1:]
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    uvicorn.run(
        Passthrough(upstream, log), port=int(port), log_level="warning", access_log=False, lifespan="off"
    )


if __name__ == "__main__":
    main()
