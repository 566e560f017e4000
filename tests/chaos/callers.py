"""Callers at a steady pace, each call with a name of its own, by which its record is found again."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

ANSWERED, FAILED, CUT = "answered", "failed", "cut"
_FINISHED = re.compile(rb'"finish_reason": ?"')
_ONE_STREAM_IN = 20
_MOST_AT_A_TIME = 600
_LONGEST_CALL_S = 90


class Callers:
    """Calls of one fault: `outcomes` says of each, by its name, what its caller saw."""

    def __init__(self, base_url: str, prefix: str, per_second: float) -> None:
        self.prefix = prefix
        self.outcomes: dict[str, str] = {}
        self.complaints: Counter[str] = Counter()
        self.streams = 0
        self._url = f"{base_url}/gateway/chat/invocations"
        self._per_second = per_second
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))

    def start(self) -> None:
        """Begin to call, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make no more calls, and wait until all have ended."""
        self._over.set()
        self._thread.join(_LONGEST_CALL_S + 30)

    def count(self, outcome: str) -> int:
        """Calls that ended so."""
        return sum(1 for found in self.outcomes.values() if found == outcome)

    async def _work(self) -> None:
        timeout = aiohttp.ClientTimeout(total=_LONGEST_CALL_S)
        connector = aiohttp.TCPConnector(limit=0)
        begun, number = time.monotonic(), 0
        # Not through a proxy: the hosts stand on this machine.
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            calls: set[asyncio.Task[None]] = set()
            while not self._over.is_set():
                await asyncio.sleep(max(0.0, begun + number / self._per_second - time.monotonic()))
                if len(calls) >= _MOST_AT_A_TIME:
                    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                number += 1
                call = asyncio.create_task(self._call(session, number))
                calls.add(call)
                call.add_done_callback(calls.discard)
            if calls:
                await asyncio.wait(calls)

    async def _call(self, session: aiohttp.ClientSession, number: int) -> None:
        name, stream = f"{self.prefix}{number}", number % _ONE_STREAM_IN == 0
        # Streams of one to five seconds; other calls take as long as a short answer does.
        pace = f"[emulator:token_delay={0.05 * (1 + number // _ONE_STREAM_IN % 5):.2f}]" if stream else ""
        text = f"Hello. [emulator:tokens={20 if stream else 5}] [emulator:delay=0.2] {pace}"
        body = {"messages": [{"role": "user", "content": text}], "user": name, "stream": stream}
        self.streams += stream
        try:
            async with session.post(self._url, json=body) as response:
                try:
                    answer = await response.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    outcome, complaint = CUT, f"{type(error).__name__}"
                else:
                    outcome, complaint = _judge(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome, complaint = FAILED, f"{type(error).__name__}: {error}"
        self.outcomes[name] = outcome
        if outcome != ANSWERED:
            self.complaints[complaint[:160]] += 1


def _judge(status: int, answer: bytes) -> tuple[str, str]:
    if status != 200:
        return FAILED, f"HTTP {status}"
    if not _FINISHED.search(answer):
        return CUT, "an answer without its end"
    return ANSWERED, ""


@contextmanager
def calling(base_url: str, prefix: str, per_second: float) -> Iterator[Callers]:
    """Call all the while; every call has ended when this is left."""
    callers = Callers(base_url, prefix, per_second)
    callers.start()
    try:
        yield callers
    finally:
        callers.stop()
