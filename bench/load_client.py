"""`python -m bench.load_client`: `gateway-eval load` beside wrk, on the same hosts, call for call the same.

The two take turns, in several rounds, so that what else the machine does hits both alike. The host is the
emulator over TLS, which takes its time for an answer: so it is the host that is measured, not one of the
clients. It ends with exit code 1 where requests/s or the median latency differ by more than 10 %.
"""

import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from bench import page
from bench.contenders import MODEL, Target
from bench.load import chat, wrk
from bench.upstream import KEY, Upstream, emulator, program

_AGREE = 0.10


@dataclass(frozen=True)
class Scene:
    """One load. `options` are the emulator's."""

    name: str
    connections: int
    options: tuple[str, ...]
    stream: bool = False


_SCENES = (
    Scene("1 caller, answers after 10 ms", 1, ("--delay-ms", "10")),
    Scene("16 callers, answers after 20 ms", 16, ("--delay-ms", "20")),
    Scene("64 callers, answers after 50 ms", 64, ("--delay-ms", "50")),
    Scene("16 callers, streams of 2 ms a token", 16, ("--token-delay-ms", "2"), stream=True),
)


@dataclass(frozen=True)
class _Seen:
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=5, show_default=True, help="How often each is measured."
)
@click.option(
    "--seconds", type=click.IntRange(1), default=5, show_default=True, help="Length of one measurement."
)
@click.pass_context
def main(ctx: click.Context, rounds: int, seconds: int) -> None:
    """Compare what `gateway-eval load` and wrk measure; print the table."""
    rows, apart = [], []
    for scene in _SCENES:
        with tempfile.TemporaryDirectory() as home, emulator(Path(home), *scene.options) as upstream:
            pairs = []
            for number in range(rounds):
                # In turns also who is first.
                clients = (_by_wrk, _by_load) if number % 2 == 0 else (_by_load, _by_wrk)
                seen = {client: client(scene, upstream, Path(home), seconds) for client in clients}
                pairs.append((seen[_by_wrk], seen[_by_load]))
                click.echo(f"{scene.name}: {pairs[-1]}", err=True)
        rates = _ratio([(one.per_second, other.per_second) for one, other in pairs])
        medians = _ratio([(one.p50_ms, other.p50_ms) for one, other in pairs])
        if any(seen.errors for pair in pairs for seen in pair) or max(abs(rates), abs(medians)) > _AGREE:
            apart.append(scene.name)
        rows.append(
            [
                scene.name,
                *_both([(one.per_second, other.per_second) for one, other in pairs], "{:,.0f}"),
                f"{rates:+.1%}",
                *_both([(one.p50_ms, other.p50_ms) for one, other in pairs], "{:.2f}"),
                f"{medians:+.1%}",
                *_both([(one.p99_ms, other.p99_ms) for one, other in pairs], "{:.1f}"),
            ]
        )
    head = ["", "wrk, req/s", "load, req/s", "", "wrk, p50 ms", "load, p50 ms", "", "wrk, p99", "load, p99"]
    click.echo(page.table(head, rows))
    if apart:
        click.echo(f"apart by more than {_AGREE:.0%}, or with errors: {'; '.join(apart)}", err=True)
        ctx.exit(1)


def _by_wrk(scene: Scene, upstream: Upstream, directory: Path, seconds: int) -> _Seen:
    target = Target(
        f"{upstream.base_url}/chat/completions", upstream.process, {"authorization": f"Bearer {KEY}"}
    )
    seen = wrk(target, directory, scene.connections, seconds, stream=scene.stream)
    return _Seen(seen.per_second, seen.p50_ms, seen.p99_ms, seen.errors)


def _by_load(scene: Scene, upstream: Upstream, directory: Path, seconds: int) -> _Seen:
    prompts = directory / "prompts.jsonl"
    prompts.write_text(json.dumps({"messages": chat()["messages"]}))
    stream = ["--stream"] if scene.stream else []
    done = subprocess.run(
        [
            *(str(program("gateway-eval")), "load", upstream.base_url, "--endpoint", MODEL, "--json", "-q"),
            *("--concurrency", str(scene.connections), "--duration", f"{seconds}s", "--warm-up", "200ms"),
            *("--prompts", str(prompts), "--max-tokens", "100", "--api-key-env", "BENCH_KEY", *stream),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=os.environ | {"BENCH_KEY": KEY, "REQUESTS_CA_BUNDLE": str(upstream.certificate)},
    )
    if not done.stdout:
        raise click.ClickException(done.stderr.strip())
    found = json.loads(done.stdout)
    latency = next(row for row in found["rows"] if row["quantity"] == "latency_ms")
    totals = found["totals"]
    return _Seen(totals["requests_per_s"], latency["p50"], latency["p99"], totals["failed_requests"])


def _ratio(pairs: list[tuple[float, float]]) -> float:
    """Return by how much the second is more than the first, the median of all rounds."""
    return statistics.median(other / one for one, other in pairs) - 1


def _both(pairs: list[tuple[float, float]], form: str) -> list[str]:
    return [form.format(statistics.median(values)) for values in zip(*pairs, strict=True)]


if __name__ == "__main__":
    main()
