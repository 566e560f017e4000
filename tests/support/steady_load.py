"""Callers that go on while something is done to a fleet, and remember every call that did not go well."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from support.fleet import Fleet

KEY = "the-key-of-steady-callers"
_FINISHED = re.compile(r'"finish_reason": ?"')


@dataclass
class SteadyLoad:
    """What callers saw: how many calls went well, and what became of the others."""

    calls: int = 0
    streams: int = 0
    longest_stream_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, stream: bool, seconds: float, failure: str | None) -> None:
        """Count one call."""
        with self._lock:
            self.calls += 1
            if stream:
                self.streams += 1
                self.longest_stream_s = max(self.longest_stream_s, seconds)
            if failure:
                self.failures.append(failure)


@contextmanager
def steady_load(
    fleet: Fleet, callers: int = 4, streamers: int = 4, per_second: float = 5
) -> Iterator[SteadyLoad]:
    """Keep callers and streamers busy, a caller `per_second` times a second; streams last up to 10 s."""
    load, over = SteadyLoad(), threading.Event()

    def work(number: int, stream: bool) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {KEY}"
            turn = 0
            while not over.is_set():
                turn += 1
                # 20 tokens, at a pace that makes streams of 2, 4 .. 10 seconds.
                pace = (
                    f" [emulator:tokens=20] [emulator:token_delay={0.1 * (1 + turn % 5):.1f}]"
                    if stream
                    else ""
                )
                begun = time.monotonic()
                failure = None
                try:
                    answer = fleet.call(
                        f"Caller {number}, turn {turn}.{pace}", stream=stream, session=session
                    )
                    if answer.status != 200:
                        failure = f"HTTP {answer.status}: {answer.text[:300]}"
                    elif stream and not _FINISHED.search(answer.text):
                        failure = f"a cut stream: ...{answer.text[-300:]}"
                except requests.RequestException as error:
                    failure = f"{type(error).__name__}: {error}"
                load.note(stream, time.monotonic() - begun, failure)
                if not stream:
                    over.wait(1 / per_second)

    workers = [
        threading.Thread(target=work, args=(number, number >= callers))
        for number in range(callers + streamers)
    ]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        over.set()
        for worker in workers:
            worker.join(90)
