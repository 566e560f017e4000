"""What a load saw, kept as raw samples."""

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field

from gateway_eval.failure import Failure, FailureClass
from gateway_eval.load.plan import Plan
from gateway_eval.load.sample import Sample

# Messages kept for each class of failure; more are counted without their words.
_MESSAGES = 5


def _floats() -> "array[float]":
    return array("d")


@dataclass
class Second:
    """What happened in one second of the load. Latencies are milliseconds."""

    begun: int = 0
    succeeded: int = 0
    failed: int = 0
    latency_ms: "array[float]" = field(default_factory=_floats)


@dataclass
class Errors:
    """The failures of one class: how many, and what the first of each kind said."""

    count: int = 0
    advice: str = ""
    messages: Counter[str] = field(default_factory=Counter)
    first: Failure | None = None

    def add(self, failure: Failure) -> None:
        """Count one more."""
        self.count += 1
        self.first = self.first or failure
        self.advice = self.advice or failure.advice
        if failure.message in self.messages or len(self.messages) < _MESSAGES:
            self.messages[failure.message] += 1


class Measurement:
    """Collects samples. A call is measured if it was due within the measured part of the load.

    Throughput counts what ended within that part, whenever it was due: that is what the host did meanwhile.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.began = 0.0
        """Start of the load; this and other moments are seconds of the monotonic clock."""
        self.measured_from = 0.0
        self.measured_until: float | None = None
        """None while that is open, as with a number of calls."""
        self.in_flight = 0
        self.connections = 0
        """Made in all."""
        self.stopped: str | None = None
        """Why the load ended early: hopeless, budget, interrupted."""
        self.latency_ms = _floats()
        self.ttft_ms = _floats()
        self.inter_chunk_ms = _floats()
        self.inter_token_ms = _floats()
        self.send_delay_ms = _floats()
        self.lag_ms = _floats()
        self.requests = 0
        self.failed = 0
        self.waited = 0
        self.begun_in_window = 0
        self.succeeded_in_window = 0
        self.input_tokens_in_window = 0
        self.output_tokens_in_window = 0
        self.calls_without_usage = 0
        self.errors: dict[FailureClass, Errors] = {}
        self.errors_before: dict[FailureClass, Errors] = {}
        """Of calls that were due in the ramp or the warm-up."""
        self.timeline: list[Second] = []
        self.cpu_share: float | None = None
        """This process's CPU time in the measured part, as a part of one core."""
        self._ended = self._succeeded = 0
        self._cpu_from: tuple[float, float] | None = None
        self._last_end = 0.0

    def start(self) -> None:
        """Begin: the load starts now."""
        self.began = time.perf_counter()
        self.measured_from = self.began + self.plan.measured_from
        if self.plan.duration is not None:
            self.measured_until = self.measured_from + self.plan.duration

    def begin(self, sample: Sample) -> None:
        """Note that a call came due."""
        self.in_flight += 1
        self._second(sample.due).begun += 1
        if self.is_measured(sample.due):
            self.begun_in_window += 1

    def give_up(self, calls: int) -> None:
        """Note that so many calls that came due will not be sent."""
        self.in_flight -= calls

    def end(self, sample: Sample) -> None:
        """Count a call that has ended."""
        self.in_flight -= 1
        self._ended += 1
        ok = sample.failure is None
        self._succeeded += ok
        latency_ms = (sample.ended - sample.due) * 1000
        second = self._second(sample.ended)
        if ok:
            second.succeeded += 1
            second.latency_ms.append(latency_ms)
            if self.is_measured(sample.ended):
                self.succeeded_in_window += 1
                if sample.usage is not None:
                    self.input_tokens_in_window += sample.usage.input_tokens or 0
                    self.output_tokens_in_window += sample.usage.output_tokens or 0
        else:
            second.failed += 1
        if self.is_measured(sample.due):
            self._measure(sample, latency_ms)
        elif sample.failure is not None:
            self.errors_before.setdefault(sample.failure.failure_class, Errors()).add(sample.failure)

    def _measure(self, sample: Sample, latency_ms: float) -> None:
        self.requests += 1
        self.waited += sample.waited
        self._last_end = max(self._last_end, sample.ended)
        if sample.sent:
            self.send_delay_ms.append((sample.sent - sample.due) * 1000)
        if sample.failure is not None:
            self.failed += 1
            self.errors.setdefault(sample.failure.failure_class, Errors()).add(sample.failure)
            return
        self.latency_ms.append(latency_ms)
        self.calls_without_usage += sample.usage is None or sample.usage.output_tokens is None
        if sample.first:
            self.ttft_ms.append((sample.first - sample.due) * 1000)
            self.inter_chunk_ms.extend(gap * 1000 for gap in sample.gaps)
            if (mean := sample.token_seconds) is not None:
                self.inter_token_ms.append(mean * 1000)

    def is_measured(self, moment: float) -> bool:
        """Tell whether a moment is within the measured part."""
        return moment >= self.measured_from and (self.measured_until is None or moment < self.measured_until)

    def all_failed(self, calls: int) -> bool:
        """Tell whether so many calls have ended and not one of them worked."""
        return self._succeeded == 0 and self._ended >= calls

    def note_lag(self, seconds: float) -> None:
        """Note how late this program's own event loop was; called all the time."""
        now = time.perf_counter()
        if self._cpu_from is None and now >= self.measured_from:
            self._cpu_from = now, time.process_time()
        if self.is_measured(now):
            self.lag_ms.append(seconds * 1000)

    def stop_clock(self) -> None:
        """End the measured part: no further call is sent."""
        now = time.perf_counter()
        if self._cpu_from is not None and now > self._cpu_from[0]:
            self.cpu_share = (time.process_time() - self._cpu_from[1]) / (now - self._cpu_from[0])

    def finish(self) -> None:
        """End the load: what is still under way is not waited for."""
        if self.cpu_share is None:
            self.stop_clock()
        if self.stopped is not None:
            self.measured_until = min(self.measured_until or time.perf_counter(), time.perf_counter())
        elif self.measured_until is None:
            self.measured_until = self._last_end or time.perf_counter()

    @property
    def seconds(self) -> float:
        """Length of the measured part, until now where it has no end yet."""
        until = time.perf_counter() if self.measured_until is None else self.measured_until
        return max(until - self.measured_from, 0.0)

    def _second(self, moment: float) -> Second:
        index = max(int(moment - self.began), 0)
        while len(self.timeline) <= index:
            self.timeline.append(Second())
        return self.timeline[index]
