"""Sums that are added to metrics a little later, many at once, since adding to a metric costs more."""

import asyncio
from bisect import bisect_left
from typing import Protocol

from prometheus_client import Counter, Histogram

_FLUSH_S = 0.05


class _Sum(Protocol):
    def flush(self) -> None: ...


class Tallies:
    """The sums of one process. Without an event loop they are added at once."""

    def __init__(self) -> None:
        self._waiting: list[_Sum] = []

    def wait_for(self, tally: _Sum) -> None:
        """Flush this sum soon."""
        self._waiting.append(tally)
        if len(self._waiting) > 1:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            loop.call_later(_FLUSH_S, self.flush)

    def flush(self) -> None:
        """Add all sums to their metrics now."""
        waiting, self._waiting = self._waiting, []
        for tally in waiting:
            tally.flush()


class CounterTally:
    """What is still to be added to a counter."""

    __slots__ = ("_amount", "_counter", "_tallies")

    def __init__(self, counter: Counter, tallies: Tallies) -> None:
        self._counter = counter
        self._tallies = tallies
        self._amount = 0

    def inc(self, amount: int = 1) -> None:
        """Add an amount, soon."""
        waits = self._amount > 0
        self._amount += amount
        if not waits and amount:
            self._tallies.wait_for(self)

    def flush(self) -> None:
        """Add it now."""
        amount, self._amount = self._amount, 0
        self._counter.inc(amount)


class HistogramTally:
    """What is still to be added to a histogram."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_sum", "_tallies")

    def __init__(self, histogram: Histogram, tallies: Tallies) -> None:
        self._histogram = histogram
        self._tallies = tallies
        self._bounds = histogram._upper_bounds
        self._counts: dict[int, int] = {}
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value, soon."""
        waits = bool(self._counts)
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._sum += value
        if not waits:
            self._tallies.wait_for(self)

    def flush(self) -> None:
        """Count them now."""
        counts, self._counts = self._counts, {}
        total, self._sum = self._sum, 0.0
        # The library has no public way to count many values at once; this is what its `observe` does for one.
        self._histogram._sum.inc(total)
        for bucket, count in counts.items():
            self._histogram._buckets[bucket].inc(count)
