"""Callers at a steady pace, each call with a name of its own, by which its record is found again."""

from __future__ import annotations

import asyncio
import itertools
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

ANSWERED, FAILED, CUT = "answered", "failed", "cut"
_FINISHED = re.compile(rb'"finish_reason": ?"')
_MOST_AT_A_TIME = 2000
_LONGEST_CALL_S = 90


@dataclass(frozen=True)
class Pace:
    """How callers call: calls a second, which are streams, of how many tokens, with what pauses."""

    per_second: float
    one_stream_in: int = 20
    tokens: int = 20
    pause_s: float = 0.05
    """Streams pause once, twice ... five times as long before each token, in turn."""


class Callers:
    """Calls of one fault: `outcomes` says of each, by its name, what its caller saw."""

    def __init__(
        self, base_urls: Sequence[str], prefix: str, pace: Pace, trusted: ssl.SSLContext | None = None
    ) -> None:
        self.prefix = prefix
        self.outcomes: dict[str, str] = {}
        self.complaints: Counter[str] = Counter()
        self.streams = 0
        self.longest_stream_s = 0.0
        self._urls = itertools.cycle(f"{base_url}/gateway/chat/invocations" for base_url in base_urls)
        self._pace = pace
        self._tls = trusted or True
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
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        begun, number = time.monotonic(), 0
        # Not through a proxy: the hosts stand on this machine.
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            calls: set[asyncio.Task[None]] = set()
            while not self._over.is_set():
                await asyncio.sleep(max(0.0, begun + number / self._pace.per_second - time.monotonic()))
                if len(calls) >= _MOST_AT_A_TIME:
                    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                number += 1
                call = asyncio.create_task(self._call(session, number))
                calls.add(call)
                call.add_done_callback(calls.discard)
            if calls:
                await asyncio.wait(calls)

    async def _call(self, session: aiohttp.ClientSession, number: int) -> None:
        turn, begun = number // self._pace.one_stream_in, time.monotonic()
        name, stream = f"{self.prefix}{number}", number % self._pace.one_stream_in == 0
        # Calls that are no streams take as long as a short answer does.
        pause = f"[emulator:token_delay={self._pace.pause_s * (1 + turn % 5):.2f}]" if stream else ""
        text = f"Hello. [emulator:tokens={self._pace.tokens if stream else 5}] [emulator:delay=0.2] {pause}"
        body = {"messages": [{"role": "user", "content": text}], "user": name, "stream": stream}
        self.streams += stream
        try:
            async with session.post(next(self._urls), json=body) as response:
                try:
                    answer = await response.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    outcome, complaint = CUT, f"{type(error).__name__}"
                else:
                    outcome, complaint = _judge(response.status, answer)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome, complaint = FAILED, f"{type(error).__name__}: {error}"
        if stream:
            self.longest_stream_s = max(self.longest_stream_s, time.monotonic() - begun)
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
def calling(
    base_urls: Sequence[str], prefix: str, pace: Pace, trusted: ssl.SSLContext | None = None
) -> Iterator[Callers]:
    """Call all the while, each load balancer in turn; every call has ended when this is left."""
    callers = Callers(base_urls, prefix, pace, trusted)
    callers.start()
    try:
        yield callers
    finally:
        callers.stop()
