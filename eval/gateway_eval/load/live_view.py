"""How a load is doing, while it is: a small picture in a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from gateway_eval.load.distribution import Distribution
from gateway_eval.load.measurement import Measurement, Second

if TYPE_CHECKING:
    from rich.table import Table

_BARS = " ▁▂▃▄▅▆▇█"
# Seconds.
_LINE_EVERY = 5.0
_PICTURE_EVERY = 1.0


class View(Protocol):
    """Shows a load. `every` is the time between two looks at it, in seconds."""

    every: float

    def look(self) -> None:
        """Show how it is doing now."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def view_of(measurement: Measurement, narrate: Callable[[str], None], *, quiet: bool) -> View:
    """Return what fits standard error: a picture for a terminal, lines for a file, nothing if quiet."""
    if quiet:
        return _Nothing()
    return _Picture(measurement) if sys.stderr.isatty() else _Lines(measurement, narrate)


class _Nothing:
    every = 3600.0

    def look(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Lines:
    every = _LINE_EVERY

    def __init__(self, measurement: Measurement, narrate: Callable[[str], None]) -> None:
        self._measurement, self._narrate = measurement, narrate

    def look(self) -> None:
        last = recent(self._measurement, _LINE_EVERY)
        self._narrate(
            f"{phase(self._measurement)}: {last.succeeded / _LINE_EVERY:.0f} answers/s, "
            f"{last.failed} failed, p50 {_ms(last, 50)}, p99 {_ms(last, 99)}, "
            f"{self._measurement.in_flight} under way"
        )

    def close(self) -> None:
        pass


class _Picture:
    every = _PICTURE_EVERY

    def __init__(self, measurement: Measurement) -> None:
        from rich.console import Console  # slow to import, and --help does not need it
        from rich.live import Live

        self._measurement = measurement
        # Refreshed here alone: a thread of its own would take the loop's time when it likes.
        self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()

    def look(self) -> None:
        self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _table(self) -> "Table":
        from rich.table import Table

        seen = self._measurement
        last = recent(seen, 1)
        table = Table.grid(padding=(0, 2))
        table.add_row("load", phase(seen))
        table.add_row("answers/s", f"{last.succeeded:>8}  {_bars([s.succeeded for s in _whole(seen)])}")
        table.add_row("p50 / p99", f"{_ms(last, 50)} / {_ms(last, 99)}")
        table.add_row("under way", str(seen.in_flight))
        failures = ", ".join(f"{name.value} {errors.count}" for name, errors in seen.errors.items())
        table.add_row("failed", f"{seen.failed} of {seen.requests}" + (f": {failures}" if failures else ""))
        return table


def phase(measurement: Measurement) -> str:
    """Return which part of the load this is, and how far it has come."""
    plan, now = measurement.plan, time.perf_counter()
    passed = now - measurement.began
    if passed < plan.ramp:
        return f"ramp {passed:.0f} of {plan.ramp:g} s"
    if now < measurement.measured_from:
        return f"warm-up {passed - plan.ramp:.0f} of {plan.warm_up:g} s"
    if plan.duration is None:
        return f"{measurement.requests} of {plan.requests} calls"
    measured = now - measurement.measured_from
    return f"{measured:.0f} of {plan.duration:g} s" if measured < plan.duration else "waiting for answers"


def recent(measurement: Measurement, seconds: float) -> Second:
    """Return what the last so many whole seconds add up to."""
    total = Second()
    for second in _whole(measurement)[-int(seconds) :]:
        total.begun += second.begun
        total.succeeded += second.succeeded
        total.failed += second.failed
        total.latency_ms.extend(second.latency_ms)
    return total


def _whole(measurement: Measurement) -> list[Second]:
    """Return the seconds that are over."""
    return measurement.timeline[: int(time.perf_counter() - measurement.began)]


def _ms(second: Second, percent: float) -> str:
    value = Distribution(second.latency_ms).quantile(percent)
    return "-" if value is None else f"{value:.1f} ms"


def _bars(counts: list[int], width: int = 60) -> str:
    shown = counts[-width:]
    most = max(shown, default=0) or 1
    return "".join(_BARS[count * (len(_BARS) - 1) // most] for count in shown)
