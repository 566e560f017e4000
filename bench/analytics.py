"""How long questions to a large store take, in how much memory, beside plain DuckDB over the same files.

    python -m bench.analytics --records 100000000 --days 90

Every figure is of a whole process, from its start to its end.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench import page
from bench.page import table as page_table
from bench.stored_records import write
from gateway_analytics import totals, totals_run

_PARQUET = "read_parquet('{store}/requests/*/*.parquet', hive_partitioning = false)"
_JSON = "read_json('{lines}', format = 'newline_delimited')"
_MEASURES = ("total", "upstream", "first_token", "gateway")
_PLAIN = """
import duckdb
print(duckdb.execute('''
    SELECT CAST(CAST(received_at AS TIMESTAMPTZ) AS DATE)::VARCHAR AS day, response_model, count(*),
        sum(input_tokens), sum(cached_input_tokens), sum(output_tokens)
    FROM {source} {where} GROUP BY ALL ORDER BY ALL
''').fetchall())
"""
_PLAIN_LATENCY = """
import duckdb
print(duckdb.execute('''
    SELECT quantile_cont(duration_ms, [0.5, 0.9, 0.99]), quantile_cont(upstream_ms, [0.5, 0.9, 0.99]),
        quantile_cont(time_to_first_token_ms, [0.5, 0.9, 0.99]),
        quantile_cont(duration_ms - upstream_ms, [0.5, 0.9, 0.99])
    FROM {source} {where}
''').fetchall())
"""


@dataclass(frozen=True)
class Taken:
    """What the fastest of several runs took."""

    seconds: float
    processor: float
    megabytes: float


# As installed: bytecode and the price book's cache are written where they can be.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
# A small process of its own: a child begins with the memory of its parent, and its peak is never below that.
_WATCH = """
import json, os, subprocess, sys, time
began = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
seconds = time.monotonic() - began
print(json.dumps([status, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def take(command: list[str], rounds: int) -> Taken:
    """Run a command so many times."""
    runs = []
    for _ in range(rounds):
        watch = [sys.executable, "-c", _WATCH, *command]
        done = subprocess.run(watch, capture_output=True, check=True, env=_ENVIRONMENT)
        status, *taken = json.loads(done.stdout)
        if status:
            sys.exit(f"{' '.join(command)} failed")
        runs.append(Taken(*taken))
    return min(runs, key=lambda run: run.seconds)


def ours(*arguments: str) -> list[str]:
    """A command of gateway-analytics."""
    return ["gateway-analytics", *arguments]


def plain(query: str, source: str, where: str = "") -> list[str]:
    """A process that asks DuckDB alone."""
    return [sys.executable, "-c", query.format(source=source, where=where)]


def answer(store: Path, *arguments: str) -> Any:
    """What a command answers, as JSON."""
    done = subprocess.run(
        ours(*arguments, "--store", str(store), "--format", "json"), capture_output=True, check=True
    )
    return json.loads(done.stdout)


def same_without_totals(store: Path, *arguments: str) -> bool:
    """Whether the records themselves give the same answer."""
    with_them, place, hidden = answer(store, *arguments), store / totals.DIRECTORY, store / "hidden"
    place.rename(hidden)
    try:
        return bool(answer(store, *arguments) == with_them)
    finally:
        hidden.rename(place)


def measure(store: Path, rounds: int, last: str, days: int) -> str:
    """A table of questions, each with what it took here and with DuckDB alone."""
    parquet = _PARQUET.format(store=store)
    lines = store / "sample.jsonl"
    day = f"WHERE received_at >= TIMESTAMPTZ '{last} 00:00:00+00'"
    span = f"WHERE received_at >= TIMESTAMPTZ '{_before(last, 29)} 00:00:00+00'"
    connection = duckdb.connect()
    ((records, sampled),) = connection.execute(
        f"SELECT count(*), count(*) FILTER (received_at >= TIMESTAMPTZ '{last} 00:00:00+00') FROM {parquet}"
    ).fetchall()
    connection.execute(f"COPY (SELECT * FROM {parquet} {day}) TO '{lines}' (FORMAT json)")
    at = ("--store", str(store))
    by = ("--by", "day", "--by", "model")
    month = ("--since", _before(last, 29), "--until", last)
    rows: list[tuple[str, int, list[str] | None, list[str] | None]] = [
        ("`--help`", rounds, ours("--help"), None),
        (
            f"cost by day and model, all {days} days",
            rounds,
            ours("costs", *by, *at),
            plain(_PLAIN, parquet),
        ),
        (
            "the same over one day",
            rounds,
            ours("costs", *by, *at, "--since", last, "--until", last),
            plain(_PLAIN, parquet, day),
        ),
        ("the same over that day as JSON lines", rounds, None, plain(_PLAIN, _JSON.format(lines=lines))),
        (
            "latency percentiles, 30 days, without the load balancers' share",
            rounds,
            ours("latency", *(f"--measure={name}" for name in _MEASURES), *month, *at),
            plain(_PLAIN_LATENCY, parquet, span),
        ),
        ("the same with it", rounds, ours("latency", *month, *at), None),
        (
            "cost by user, 30 days: no sums are kept of users; asked once",
            1,
            ours("costs", "--by", "user", *month, *at),
            None,
        ),
    ]
    shown = []
    for name, times, mine, theirs in rows:
        cells = []
        for command in (mine, theirs):
            taken = take(command, times) if command else None
            cells += (
                [f"{taken.seconds:.2f}", f"{taken.processor:.2f}", f"{taken.megabytes:.0f}"]
                if taken
                else [""] * 3
            )
        shown.append([name, *cells])
        print(*shown[-1], sep="\t", flush=True)  # noqa: T201
    lines.unlink()
    head = ["question", "s", "CPU s", "MB", "plain DuckDB: s", "CPU s", "MB"]
    return (
        f"{records:,} records over {days} days, {sampled:,} of them on the last, the one that is asked for."
        f"\n\n{page_table(head, shown)}"
    )


def _before(day: str, days: int) -> str:
    return (datetime.fromisoformat(day) - timedelta(days=days)).date().isoformat()


def main() -> None:
    """Fill a store where there is none yet, ask it, and write what that took into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description="Measure questions to a large store.")
    parser.add_argument("--records", type=int, default=100_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each question; the fastest counts")
    parser.add_argument(
        "--store",
        type=Path,
        default=Path("build/analytics"),
        help="where it is; what is there already is asked as it is; 50 bytes a record",
    )
    parser.add_argument("--check", action="store_true", help="compare answers with those of all records, too")
    arguments = parser.parse_args()
    arguments.store.mkdir(parents=True, exist_ok=True)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    days = sorted(arguments.store.glob("requests/date=*"))
    if not days:
        write(arguments.store, arguments.records, arguments.days, yesterday, 31)
        days = sorted(arguments.store.glob("requests/date=*"))
    totals_run.refresh(arguments.store)
    load, *_ = os.getloadavg()
    text = measure(arguments.store, arguments.rounds, days[-1].name.removeprefix("date="), len(days))
    size = sum(path.stat().st_size for path in (arguments.store / "totals").iterdir())
    text += (
        f"\n\n{datetime.now(UTC):%Y-%m-%d}, DuckDB {duckdb.__version__}, {os.cpu_count()} cores, load average"
        f" {load:.1f} before the start; fastest of {arguments.rounds} runs."
        f" What is kept of closed days: {size / 1e6:.0f} MB."
    )
    if arguments.check:
        asked = ("costs", "--by", "day", "--by", "model")
        same = same_without_totals(arguments.store, *asked)
        text += f" Without it the cost by day and model is {'the same' if same else 'ANOTHER'}."
    page.write_section("analytics", text)


if __name__ == "__main__":
    main()
