"""Sums that are added to metrics a little later, many at once, since adding to a metric costs more."""

import asyncio
from bisect import bisect_left
from typing import Protocol

from prometheus_client import Gauge, Histogram

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


class GaugeTally:
    """By how much a gauge is still to change."""

    __slots__ = ("_change", "_gauge", "_tallies", "_waits")

    def __init__(self, gauge: Gauge, tallies: Tallies) -> None:
        self._gauge = gauge
        self._tallies = tallies
        self._change = 0
        self._waits = False

    def add(self, amount: int) -> None:
        """Add an amount, which may be below 0, soon."""
        self._change += amount
        if not self._waits:
            self._waits = True
            self._tallies.wait_for(self)

    def flush(self) -> None:
        """Add it now."""
        change, self._change, self._waits = self._change, 0, False
        if change:
            self._gauge.inc(change)


class HistogramTally:
    """What is still to be added to a histogram, by somebody who calls `flush`."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_sum")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._bounds = histogram._upper_bounds
        self._counts: dict[int, int] = {}
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value, soon."""
        bucket = bisect_left(self._bounds, value)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self._sum += value

    def flush(self) -> None:
        """Count them now."""
        counts, self._counts = self._counts, {}
        total, self._sum = self._sum, 0.0
        # The library has no public way to count many values at once; this is what its `observe` does for one.
        if counts:
            self._histogram._sum.inc(total)
        for bucket, count in counts.items():
            self._histogram._buckets[bucket].inc(count)
