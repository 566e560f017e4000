"""How an answer reaches the caller: at once or token by token, whole or broken on demand."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway_eval.emulator.call import Call
from gateway_eval.emulator.chance import NO_DELAY, Delay
from gateway_eval.emulator.errors import ProviderError
from gateway_eval.emulator.exchange import JSON, Exchange, Headers
from gateway_eval.emulator.witness import Entry

if TYPE_CHECKING:
    from gateway_eval.emulator.app import Options

_EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)
# Without a delay a long stream would hold up every other call: let them in after this many events.
_EVENTS_A_TURN = 32


async def deliver(
    exchange: Exchange,
    call: Call,
    entry: Entry,
    options: "Options",
    chance: random.Random,
    closing: asyncio.Event,
) -> str:
    """Answer a call that was accepted and return the outcome: completed or broken (on demand).

    Raises CallerLeft where the caller did not wait.
    """
    directives = call.directives
    token_delay = options.token_delay
    if directives.token_delay is not None:
        token_delay = Delay(numbers=(directives.token_delay * 1000,))
    delay = options.delay.draw(chance) / 1000 + directives.delay
    fault = directives.delivery
    request_id = entry.request_id.encode("latin-1", "replace")
    answer_id = call.id_prefix + b"emulator%012x" % entry.sequence
    if not call.stream:
        delay += token_delay.draw_sum(call.usage.output_tokens, chance) / 1000
    if delay:
        await exchange.pause(delay)
    if fault in ("hang", "disconnect", "html", "empty"):
        return await _no_answer(exchange, entry, fault, closing)
    if call.stream:
        entry.status = 200
        pace = None if token_delay == NO_DELAY else lambda tokens: token_delay.draw_sum(tokens, chance) / 1000
        return await _stream(exchange, call, entry, answer_id, pace, closing)
    headers: Headers = [JSON, (b"x-request-id", request_id)]
    body = call.whole(answer_id, b"%d" % time.time())
    if fault is None:
        entry.status = 200
        entry.input_tokens = call.usage.input_tokens
        entry.output_tokens = call.usage.output_tokens
        await exchange.whole(200, headers, body)
        return "completed"
    return await _broken(exchange, call, entry, headers, body, closing)


async def _no_answer(exchange: Exchange, entry: Entry, fault: str, closing: asyncio.Event) -> str:
    match fault:
        case "hang":
            await _wait_for_caller(exchange, closing)
        case "disconnect":
            await exchange.abort()
        case "html":
            entry.status = 502
            await exchange.whole(502, [(b"content-type", b"text/html")], _PAGE)
        case "empty":
            entry.status = 200
            await exchange.whole(200, [JSON], b"")
    return "broken"


async def _broken(
    exchange: Exchange, call: Call, entry: Entry, headers: Headers, body: bytes, closing: asyncio.Event
) -> str:
    """Send an answer in one piece that goes wrong after its status line."""
    half = body[: len(body) // 2]
    if call.directives.delivery == "stream_error":
        error = _midway_error()
        entry.status = error.status
        await exchange.whole(error.status, headers, error.body(call.dialect, entry.request_id))
        return "broken"
    entry.status = 200
    if call.directives.delivery == "bad_json":
        await exchange.whole(200, headers, half)
        return "broken"
    await exchange.start(200, [*headers, (b"content-length", b"%d" % len(body))])
    await exchange.write(half, more=True)
    if call.directives.delivery == "stall":
        await _wait_for_caller(exchange, closing)
    return "broken"


async def _stream(
    exchange: Exchange,
    call: Call,
    entry: Entry,
    answer_id: bytes,
    pace: Callable[[int], float] | None,
    closing: asyncio.Event,
) -> str:
    """Send the events. `pace` gives the seconds that so many tokens take."""
    fault, after = call.directives.delivery, call.directives.after
    # An answer shorter than asked for breaks off before its end, so that it never looks whole.
    total = call.usage.output_tokens
    after = total // 2 if after is None else min(after, total)
    exchange.watch()
    await exchange.start(200, [*_EVENTS, (b"x-request-id", entry.request_id.encode("latin-1", "replace"))])
    entry.input_tokens = call.usage.input_tokens
    due = time.perf_counter()
    for number, (event, count) in enumerate(call.events(answer_id, b"%d" % time.time())):
        if fault is not None and number and entry.output_tokens >= after:
            if fault != "bad_json":
                return await _end_early(exchange, call, entry, number, closing)
            await exchange.write(event[: len(event) // 2] + b"\n\n", more=True)
            fault = None
            continue
        if pace is not None and count:
            # Due times, not pauses: the delays do not add up to more than was asked for.
            due += pace(count)
            await exchange.pause(due - time.perf_counter())
        elif number % _EVENTS_A_TURN == _EVENTS_A_TURN - 1:
            await asyncio.sleep(0)
        await exchange.write(event, more=True)
        entry.output_tokens += count
    await exchange.write(b"", more=False)
    return "completed" if call.directives.delivery is None else "broken"


async def _end_early(
    exchange: Exchange, call: Call, entry: Entry, number: int, closing: asyncio.Event
) -> str:
    if call.directives.delivery == "stall":
        await _wait_for_caller(exchange, closing)
    elif call.directives.delivery == "stream_error":
        await exchange.write(call.error_event(_midway_error(), entry.request_id, number), more=False)
    return "broken"


async def _wait_for_caller(exchange: Exchange, closing: asyncio.Event) -> None:
    """Say nothing until the caller leaves or the server stops."""
    stop = asyncio.create_task(closing.wait())
    try:
        await asyncio.wait({exchange.watch(), stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
    await exchange.pause(0)


def _midway_error() -> ProviderError:
    return ProviderError(500, "The server had an error processing your request.", "server_error")
