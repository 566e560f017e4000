"""`make bench-streams`: a thousand streams at a time through one worker; is any chunk held back?

Every chunk says when the provider sent it. What is measured is how much later the caller has it.
"""

import asyncio
import contextlib
import json
import resource
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import click

from bench import page
from bench.contenders import DIRECT, OURS, STOCK, Contender, Target, contender
from bench.load import chat
from bench.paced_upstream import PACE
from bench.processes import free_port, running
from bench.upstream import Upstream, make_certificate

_NAMES = (DIRECT, OURS, STOCK)
# Seconds in which all streams begin: their handshakes should not be what is measured.
_RAMP = 4.0


@dataclass
class Seen:
    """What callers saw: the delay of every chunk in seconds, and streams that did not come whole."""

    delays: list[float] = field(default_factory=list)
    incomplete: int = 0
    pss_before_mb: float = 0.0
    pss_open_mb: float = 0.0


@click.command()
@click.option(
    "--streams", type=click.IntRange(1), default=1000, show_default=True, help="How many at a time."
)
@click.option(
    "--chunks", type=click.IntRange(3), default=15, show_default=True, help="Chunks of each, one a second."
)
@click.option("--write/--no-write", default=True, help="Write docs/benchmarks.md.")
def main(streams: int, chunks: int, write: bool) -> None:
    """Open the streams over a few seconds, read them to their ends, and say how late chunks were."""
    circumstances = page.circumstances()
    # A gateway holds two connections for each stream, and it inherits this.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = []
    for name in _NAMES:
        seen = _measure(contender(name), streams, chunks)
        rows.append(_row(name, seen, streams, chunks))
        click.echo(f"{name}: {len(seen.delays)} chunks", err=True)
    head = [
        "one worker each",
        "streams",
        "chunks",
        "p50, ms",
        "p99, ms",
        "latest, ms",
        "held back",
        "KB a stream",
    ]
    text = "\n\n".join(
        [
            f"{circumstances}. {streams} streams at a time, {chunks} chunks each, one a second; how much "
            "later than the provider sent it a chunk reached its caller. *Held back* are chunks that came "
            "only after the next one was due. Memory: what the PSS grew by while all streams were open.",
            page.table(head, rows),
        ]
    )
    click.echo(text)
    if write:
        page.write_section("streams", text)


def _measure(which: Contender, streams: int, chunks: int) -> Seen:
    with tempfile.TemporaryDirectory() as home, _paced(Path(home), chunks) as upstream:
        directory = Path(home, "gateway")
        directory.mkdir()
        with which.start(upstream, directory) as target:
            return asyncio.run(_open(target, streams, chunks))


@contextlib.contextmanager
def _paced(directory: Path, chunks: int) -> Iterator[Upstream]:
    certificate, key = make_certificate(directory)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bench.paced_upstream",
        str(port),
        str(certificate),
        str(key),
        str(chunks),
    ]
    url = f"https://127.0.0.1:{port}"
    with running(command, directory / "upstream.log", f"{url}/health") as process:
        yield Upstream(f"{url}/v1", certificate, process)


async def _open(target: Target, streams: int, chunks: int) -> Seen:
    seen = Seen(pss_before_mb=target.process.pss_mb())
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # loopback, our own certificate
    connector = aiohttp.TCPConnector(limit=0, ssl=trusting)
    timeout = aiohttp.ClientTimeout(total=_RAMP + chunks * PACE * 4 + 60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=target.headers) as session:
        callers = [
            asyncio.create_task(_read(session, target.url, chunks, _RAMP * number / streams, seen))
            for number in range(streams)
        ]
        await asyncio.sleep((_RAMP + PACE * chunks) / 2)
        seen.pss_open_mb = await asyncio.to_thread(target.process.pss_mb)
        await asyncio.gather(*callers)
    return seen


async def _read(session: aiohttp.ClientSession, url: str, chunks: int, wait: float, seen: Seen) -> None:
    await asyncio.sleep(wait)
    found = 0
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        async with session.post(url, json=chat(stream=True)) as response:
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                now = time.monotonic_ns()
                choices = json.loads(line[6:]).get("choices") or [{}]
                sent = choices[0].get("delta", {}).get("content")
                if sent:
                    seen.delays.append((now - int(sent)) / 1e9)
                    found += 1
    seen.incomplete += found != chunks


def _row(name: str, seen: Seen, streams: int, chunks: int) -> list[str]:
    delays = sorted(seen.delays)
    cuts = statistics.quantiles(delays, n=100)
    whole = f"{streams - seen.incomplete:,} whole" + (f", {seen.incomplete} not" if seen.incomplete else "")
    held = sum(delay >= PACE for delay in delays)
    weight = (seen.pss_open_mb - seen.pss_before_mb) * 1000 / streams
    return [
        name,
        whole,
        f"{len(delays):,} of {streams * chunks:,}",
        f"{cuts[49] * 1000:.1f}",
        f"{cuts[98] * 1000:.1f}",
        f"{delays[-1] * 1000:.0f}",
        f"{held}",
        "" if name == DIRECT else f"{weight:.0f}",
    ]


if __name__ == "__main__":
    main()
