"""`make bench-memory`: what the gateway weighs over a million calls, and four workers at rest."""

import contextlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from bench import page
from bench.contenders import Target, ours
from bench.load import wrk
from bench.upstream import Upstream, emulator

_CONNECTIONS = 32
_SAMPLES = 10
_AT_REST_WORKERS = 4


@dataclass(frozen=True)
class Sample:
    """Memory after so many calls: PSS of all processes, resident memory of the largest."""

    calls: int
    pss_mb: float
    worker_mb: float


@click.command()
@click.option(
    "--calls", type=click.IntRange(1000), default=1_000_000, show_default=True, help="How many calls."
)
@click.option("--write/--no-write", default=True, help="Write docs/benchmarks.md.")
def main(calls: int, write: bool) -> None:
    """Make so many calls, a tenth of them streams, and sample the memory ten times."""
    circumstances = page.circumstances()
    with tempfile.TemporaryDirectory() as home, emulator(Path(home)) as upstream:
        at_rest = _at_rest(upstream, Path(home))
        with _gateway(upstream, Path(home), workers=1) as (target, directory):
            samples, errors = _load(target, directory, calls)
            records, lost = _count_records(directory / "spool")
    text = _text(circumstances, at_rest, samples, errors, records, lost)
    click.echo(text)
    if write:
        page.write_section("memory", text)


@contextlib.contextmanager
def _gateway(upstream: Upstream, home: Path, workers: int) -> Iterator[tuple[Target, Path]]:
    directory = home / f"workers{workers}"
    directory.mkdir()
    with ours(upstream, directory, workers=workers) as target:
        yield target, directory


def _at_rest(upstream: Upstream, home: Path) -> float:
    with _gateway(upstream, home, _AT_REST_WORKERS) as (target, directory):
        # A call or two for each worker, so that all of them have started to the end.
        wrk(target, directory, 4 * _AT_REST_WORKERS, 1)
        return target.process.pss_mb()


def _load(target: Target, directory: Path, calls: int) -> tuple[list[Sample], int]:
    made = errors = 0
    samples = []
    speed = 1000.0  # calls a second, corrected after every step
    for number in range(_SAMPLES + 1):
        while made < calls * number / _SAMPLES:
            # Streams in between, so that both ways of answering are worn.
            for stream in (False, True):
                part = (calls * number / _SAMPLES - made) * (0.1 if stream else 1.0)
                run = wrk(target, directory, _CONNECTIONS, min(max(part / speed, 1), 30), stream=stream)
                made += run.requests
                errors += run.errors
                if not stream:
                    speed = run.per_second
        samples.append(Sample(made, target.process.pss_mb(), target.process.largest_rss_mb()))
        click.echo(f"{made} calls: {samples[-1].pss_mb:.1f} MB", err=True)
    return samples, errors


def _count_records(spool: Path) -> tuple[int, int]:
    """Return how many records there are, and how many numbers of their sequence are missing."""
    numbers = defaultdict(set)
    for file in spool.iterdir():
        with file.open("rb") as lines:
            for line in lines:
                record = json.loads(line)
                numbers[record["boot_id"]].add(record["sequence"])
    found = sum(len(seen) for seen in numbers.values())
    return found, sum(max(seen) for seen in numbers.values()) - found


def _text(
    circumstances: str, at_rest: float, samples: list[Sample], errors: int, records: int, lost: int
) -> str:
    rows = [[f"{one.calls:,}", f"{one.pss_mb:.1f}", f"{one.worker_mb:.1f}"] for one in samples]
    settled, last = samples[1], samples[-1]
    return "\n\n".join(
        [
            f"{circumstances}. {_AT_REST_WORKERS} workers at rest: {at_rest:.0f} MB (PSS of all processes).",
            f"One worker and its master, {_CONNECTIONS} connections, one call in ten a stream, records on:",
            page.table(["calls", "PSS, MB", "worker's RSS, MB"], rows),
            f"From {settled.calls:,} calls to {last.calls:,} the PSS changed by "
            f"{last.pss_mb - settled.pss_mb:+.1f} MB. {errors} calls failed. {records:,} records were "
            f"written, {lost} are missing; more records than calls, because wrk cuts off the calls that are "
            "open at the end of a step.",
        ]
    )


if __name__ == "__main__":
    main()
