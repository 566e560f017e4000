"""`make bench-gateway`: this gateway beside stock MLflow, Portkey and LiteLLM, in one run on one machine.

Every contender has one worker and the same upstream, the emulator over TLS. They are measured in turn, in
several rounds, so that what else the machine does meanwhile hits all alike. All figures are medians over the
rounds; ratios are taken within a round.
"""

import contextlib
import json
import math
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from bench import page
from bench.contenders import (
    BUILD,
    CONTENDERS,
    DIRECT,
    FLOOR,
    LITELLM,
    OURS,
    PORTKEY,
    STOCK,
    WITHOUT_RECORDS,
    Contender,
    Target,
)
from bench.load import Measured, wrk
from bench.processes import NotAvailableError
from bench.upstream import emulator

_CONNECTIONS = 32


@dataclass
class Row:
    """What was measured of one contender, a list entry for every round; `reason` says why nothing was."""

    contender: Contender
    target: Target | None = None
    directory: Path = Path()
    reason: str = ""
    busy: list[Measured] = field(default_factory=list)
    alone: list[Measured] = field(default_factory=list)
    streams: list[Measured] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)  # CPU time for one request, in microseconds
    pss_mb: float = 0.0

    @property
    def name(self) -> str:
        """The first column."""
        version = self.contender.version()
        return (
            f"{self.contender.name} {version}"
            if version and self.contender.name != FLOOR
            else self.contender.name
        )


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="How often each is measured."
)
@click.option(
    "--seconds", type=click.IntRange(1), default=5, show_default=True, help="Length of one measurement."
)
@click.option(
    "--only", multiple=True, type=click.Choice([c.name for c in CONTENDERS]), help="Measure only these."
)
@click.option("--write/--no-write", default=True, help="Write docs/benchmarks.md.")
def main(rounds: int, seconds: int, only: tuple[str, ...], write: bool) -> None:
    """Compare the gateways and write the table to docs/benchmarks.md."""
    chosen = [Row(contender) for contender in CONTENDERS if not only or contender.name in only]
    circumstances = page.circumstances()
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        upstream = stack.enter_context(emulator(Path(home)))
        for row in chosen:
            row.directory = Path(home, row.contender.name.replace(" ", "_"))
            row.directory.mkdir()
            click.echo(f"starting {row.name}", err=True)
            try:
                row.target = stack.enter_context(row.contender.start(upstream, row.directory))
            except NotAvailableError as reason:
                row.reason = str(reason)
                click.echo(f"{row.contender.name} is not available: {reason}", err=True)
                continue
            for stream in (False, True):  # so that what is compiled or connected once is
                wrk(row.target, row.directory, _CONNECTIONS, 2, stream=stream)
        measured = [row for row in chosen if row.target]
        for number in range(rounds):
            # Another order every round: whoever follows LiteLLM should not always be the same.
            start = number % len(measured)
            for row in measured[start:] + measured[:start]:
                _measure(row, seconds)
                click.echo(
                    f"round {number + 1}: {row.name}: {row.busy[-1].per_second:.0f} requests/s", err=True
                )
        for row in measured:
            if row.target:
                row.pss_mb = row.target.process.pss_mb()
        served = upstream.stats()
    BUILD.mkdir(parents=True, exist_ok=True)
    raw = {row.contender.name: _raw(row) for row in chosen} | {"emulator": served}
    (BUILD / "gateway.json").write_text(json.dumps(raw, indent=1))
    text = _text(chosen, circumstances, rounds, seconds)
    click.echo(text)
    if write and not only:
        page.write_section("gateway", text)


def _measure(row: Row, seconds: int) -> None:
    assert row.target
    before = row.target.process.cpu_seconds()
    row.busy.append(wrk(row.target, row.directory, _CONNECTIONS, seconds))
    used = row.target.process.cpu_seconds() - before
    row.cpu_us.append(used * 1e6 / max(row.busy[-1].requests, 1))
    row.alone.append(wrk(row.target, row.directory, 1, max(seconds // 2, 1)))
    row.streams.append(wrk(row.target, row.directory, _CONNECTIONS, seconds, stream=True))


def _raw(row: Row) -> dict[str, object]:
    runs = {"busy": row.busy, "alone": row.alone, "streams": row.streams}
    found: dict[str, object] = {name: [asdict(one) for one in values] for name, values in runs.items()}
    found["cpu_us"] = row.cpu_us
    return found | {"version": row.contender.version(), "pss_mb": row.pss_mb, "reason": row.reason}


def _text(rows: list[Row], circumstances: str, rounds: int, seconds: int) -> str:
    by_name = {row.contender.name: row for row in rows}
    direct, stock, ours = by_name.get(DIRECT), by_name.get(STOCK), by_name.get(OURS)
    head = [
        "one worker each",
        "requests/s",
        "to MLflow",
        "CPU, us a request",
        "added p50 / p99, 1 conn.",
        "p50 / p99, 32 conn.",
        "streams/s",
        "memory",
    ]
    lines = [_line(row, direct, stock) for row in rows]
    parts = [
        f"{circumstances}. {_versions()}. Medians of {rounds} rounds of {seconds} s; times in ms, "
        "memory is PSS in MB.",
        page.table(head, lines),
    ]
    if ours and ours.busy:
        parts.append(_ratios(ours, by_name))
    parts.append(_client(rows))
    return "\n\n".join(parts)


def _line(row: Row, direct: Row | None, stock: Row | None) -> list[str]:
    if row.target is None:
        return [row.name, f"not available: {row.reason}", "", "", "", "", "", ""]
    base = direct.alone if direct and direct.alone else None
    added = ["", ""]
    if base:
        added = [
            f"{_median(one.p50_ms - none.p50_ms for one, none in zip(row.alone, base, strict=True)):.2f}",
            f"{_median(one.p99_ms - none.p99_ms for one, none in zip(row.alone, base, strict=True)):.2f}",
        ]
    if row is direct:
        added = [
            f"({_median(one.p50_ms for one in row.alone):.2f}",
            f"{_median(one.p99_ms for one in row.alone):.2f})",
        ]
    return [
        row.name,
        _rate(row.busy),
        f"{_ratio(row, stock):.1f}" if stock and stock.busy else "",
        f"{_median(row.cpu_us):.0f}",
        " / ".join(added),
        f"{_median(one.p50_ms for one in row.busy):.1f} / {_median(one.p99_ms for one in row.busy):.1f}",
        _rate(row.streams),
        f"{row.pss_mb:.0f}",
    ]


def _rate(runs: list[Measured]) -> str:
    rate = f"{_median(one.per_second for one in runs):,.0f}"
    errors, requests = sum(one.errors for one in runs), sum(one.requests for one in runs)
    return f"{rate} ({errors} of {requests} failed)" if errors else rate


def _ratio(row: Row, to: Row, runs: Callable[[Row], list[Measured]] = lambda row: row.busy) -> float:
    return _median(_times(one, other) for one, other in zip(runs(row), runs(to), strict=True))


def _times(one: Measured, other: Measured) -> float:
    return one.per_second / other.per_second if other.requests else math.inf  # not one answer in time


def _ratios(ours: Row, rows: dict[str, Row]) -> str:
    found = []
    for name in (STOCK, PORTKEY, LITELLM, FLOOR):
        if (row := rows.get(name)) and row.busy:
            requests, streams = _ratio(ours, row), _ratio(ours, row, lambda row: row.streams)
            found.append(
                f"{requests:.2f} times the requests/s and {streams:.2f} times the streams/s of {name}"
            )
    sentences = ["This gateway, writing its records, makes " + "; ".join(found) + "."] if found else []
    off = rows.get(WITHOUT_RECORDS)
    if off and off.busy:
        cost = 1 - _ratio(ours, off)
        each = [
            1 - on.per_second / without.per_second for on, without in zip(ours.busy, off.busy, strict=True)
        ]
        work = _median(
            with_records / without for with_records, without in zip(ours.cpu_us, off.cpu_us, strict=True)
        )
        sentences.append(
            f"Records cost {cost:.1%} of its requests/s (rounds: {min(each):.1%} to {max(each):.1%}) and "
            f"{work - 1:.1%} of its CPU time a request."
        )
    return " ".join(sentences)


def _client(rows: list[Row]) -> str:
    gateways = [row for row in rows if row.target and row.contender.name != DIRECT]
    most = max((run.client_cpu for row in gateways for run in row.busy + row.streams), default=0.0)
    said = f"wrk used at most {most:.0%} of a core in front of a gateway"
    return said + ("." if most < 0.9 else ": it, not the gateway, was the limit there.")


def _versions() -> str:
    wrk_said = subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split()
    node = ["node", "-v"]
    with contextlib.suppress(OSError):
        said = subprocess.run(node, capture_output=True, text=True).stdout.strip().removeprefix("v")
        return f"Node {said}, wrk {wrk_said[1].removeprefix('debian/')}"
    return f"wrk {wrk_said[1].removeprefix('debian/')}"


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
