"""What a load consists of: how calls are sent, for how long, and which part of it is measured."""

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Plan:
    """A load. Times are seconds.

    `rate` makes it an open loop (so many calls a second, whatever the host does), `concurrency` a closed one
    (so many callers, each with one call at a time). First comes the ramp, then the warm-up, then what is
    measured: `duration` seconds or `requests` calls.
    """

    rate: float | None = None
    concurrency: int | None = None
    duration: float | None = None
    requests: int | None = None
    warm_up: float = 0.0
    ramp: float = 0.0
    poisson: bool = False
    timeout: float = 60.0
    max_connections: int = 1000

    @property
    def measured_from(self) -> float:
        """When the measured part begins, from the start of the load."""
        return self.ramp + self.warm_up

    def arrivals(self) -> Iterator[float]:
        """Yield when each call of an open loop is due, from the start of the load, in order.

        Over the ramp the rate grows evenly from nothing. Random arrivals (`poisson`) are the same every time.
        """
        assert self.rate is not None  # noqa: S101 (for the type checker)
        ramped = self.rate * self.ramp / 2  # calls within the ramp
        chance = random.Random(0)  # noqa: S311 (no secret hangs on it)
        position, measured = 0.0, 0
        while True:
            if position < ramped:
                due = math.sqrt(2 * position * self.ramp / self.rate)
            else:
                due = self.ramp + (position - ramped) / self.rate
            if due >= self.measured_from:
                if self.requests is not None and measured >= self.requests:
                    return
                measured += 1
            if self.duration is not None and due >= self.measured_from + self.duration:
                return
            yield due
            position += chance.expovariate(1.0) if self.poisson else 1.0

    @property
    def calls(self) -> int | None:
        """How many calls the load makes, or would on average; None where the host's speed decides."""
        if self.rate is None:
            return self.requests if self.measured_from == 0 else None
        before = self.rate * (self.ramp / 2 + self.warm_up)
        measured = self.requests if self.duration is None else self.rate * self.duration
        return math.ceil(before + (measured or 0))

    def callers_at(self, seconds: float) -> int:
        """Return how many callers of a closed loop there should be so long after the start."""
        assert self.concurrency is not None  # noqa: S101 (for the type checker)
        if seconds >= self.ramp:
            return self.concurrency
        return max(1, math.ceil(self.concurrency * seconds / self.ramp))

    def describe(self) -> str:
        """Return the plan in one line."""
        how = f"{self.rate:g} calls/s" if self.rate is not None else f"{self.concurrency} callers"
        if self.poisson:
            how += " at random moments"
        much = f"{self.duration:g} s" if self.duration is not None else f"{self.requests} calls"
        before = [
            f"{name} {seconds:g} s"
            for name, seconds in (("ramp", self.ramp), ("warm-up", self.warm_up))
            if seconds
        ]
        return f"{how}, {much}" + (f" after {' and '.join(before)}" if before else "")

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as the results file has it."""
        return {
            "loop": "open" if self.rate is not None else "closed",
            "rate_per_s": self.rate,
            "arrivals": None if self.rate is None else "poisson" if self.poisson else "even",
            "concurrency": self.concurrency,
            "duration_s": self.duration,
            "requests": self.requests,
            "ramp_s": self.ramp,
            "warm_up_s": self.warm_up,
            "timeout_s": self.timeout,
            "max_connections": self.max_connections,
        }


def parse_duration(text: str) -> float:
    """Return seconds from text such as `30s`, `5m`, `1.5h` or `250ms`; a bare number is seconds.

    Raises ValueError with the remedy.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time; write it as 30s, 5m, 1h or 250ms")
    return float(match[1]) * _SECONDS[match[2] or "s"]
