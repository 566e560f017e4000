"""A provider for `bench.streams`: each stream is a chunk a second, and every chunk says when it was sent.

python -m bench.paced_upstream PORT CERTIFICATE KEY CHUNKS
"""

import asyncio
import json
import ssl
import sys
import time

from aiohttp import web

PACE = 1.0
"""Seconds between two chunks."""


async def _stream(request: web.Request) -> web.StreamResponse:
    await request.read()
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    chunks = request.app[_CHUNKS]
    due = time.monotonic()
    for number in range(chunks):
        # The clock is the machine's: the client on the same one subtracts it from its own.
        last = number == chunks - 1
        await response.write(_event({"content": str(time.monotonic_ns())}, "stop" if last else None))
        due += PACE
        await asyncio.sleep(0 if last else due - time.monotonic())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _event(delta: dict[str, str], finish: str | None) -> bytes:
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="OK")


_CHUNKS = web.AppKey("chunks", int)


def main() -> None:
    """Serve over TLS on loopback until a signal ends it."""
    port, certificate, key, chunks = sys.argv[1:]
    app = web.Application()
    app[_CHUNKS] = int(chunks)
    app.add_routes([web.post("/v1/chat/completions", _stream), web.get("/health", _health)])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=context, print=None, backlog=2048)


if __name__ == "__main__":
    main()
