"""How fast a store is compacted, in how much memory, and how small the records become.

Beside it, in the same run: what DuckDB alone takes to copy the same lines to Parquet, unchecked and unsorted.

python -m bench.compact --records 10000000
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from bench.records import write
from gateway_analytics.record_kind import REQUESTS

_PARTS = "read_parquet('{}/requests/*/*.parquet')"


def main() -> None:
    """Make records, compact them, and print what that took."""
    parser = argparse.ArgumentParser(description="Measure compaction on realistic request records.")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--per-second", type=float, default=100.0, help="calls a second over the whole fleet")
    parser.add_argument(
        "--directory", type=Path, default=Path("build"), help="where there is room: 1 kB a record"
    )
    arguments = parser.parse_args()
    arguments.directory.mkdir(exist_ok=True)
    store = Path(tempfile.mkdtemp(prefix="compact-", dir=arguments.directory))
    try:
        start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
        write(store / "incoming" / "requests", arguments.records, arguments.per_second, start)
        _measure(store)
    finally:
        shutil.rmtree(store)


_PLAIN = """
import duckdb
columns = {columns}
duckdb.connect(config={{"threads": 2, "preserve_insertion_order": False}}).execute(
    "COPY (SELECT * FROM read_json('{lines}', columns = " + columns + ", format = 'newline_delimited'))"
    " TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
)
"""


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds and processor seconds that a command takes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _measure(store: Path) -> None:
    incoming = sum(path.stat().st_size for path in (store / "incoming").rglob("*.jsonl"))
    command = ["gateway-analytics", "compact", "--store", str(store), "--settle", "1e9", "--format", "jsonl"]
    seconds, processor = _run(command)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in REQUESTS.read_columns.items())
    lines, target = store / "incoming" / "requests" / "*.jsonl", store / "plain.parquet"
    plain = _PLAIN.format(columns=repr(f"{{{columns}}}"), lines=lines, target=target)
    plain_seconds, plain_processor = _run([sys.executable, "-c", plain])
    parts = list((store / "requests").rglob("*.parquet"))
    size = sum(part.stat().st_size for part in parts)
    counts = "count(*), count(DISTINCT (boot_id, sequence))"
    connection = duckdb.connect()
    ((records, unique),) = connection.execute(f"SELECT {counts} FROM {_PARTS.format(store)}").fetchall()
    if records != unique:
        sys.exit(f"{records - unique} records are doubled")
    load, *_ = os.getloadavg()
    for name, value in {
        "records": f"{records:,}",
        "bytes a record, JSON": f"{incoming / records:.0f}",
        "bytes a record, Parquet": f"{size / records:.1f}",
        "seconds": f"{seconds:.1f}",
        "records/s": f"{records / seconds:,.0f}",
        "processor seconds": f"{processor:.1f}",
        "records/s if two processors were free": f"{2 * records / processor:,.0f}",
        "DuckDB alone, seconds": f"{plain_seconds:.1f}",
        "DuckDB alone, processor seconds": f"{plain_processor:.1f}",
        "ours to DuckDB alone, processor time": f"{processor / plain_processor:.2f}",
        "peak memory, MB": f"{memory / 1024:.0f}",
        "Parquet files": f"{len(parts)}",
        "processors, load": f"{os.cpu_count()}, {load:.1f}",
    }.items():
        print(f"{name:40} {value:>14}")  # noqa: T201


if __name__ == "__main__":
    main()
