"""How fast a store is compacted, in how much memory, and how small the records become.

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


def _measure(store: Path) -> None:
    incoming = sum(path.stat().st_size for path in (store / "incoming").rglob("*.jsonl"))
    began = time.monotonic()
    command = ["gateway-analytics", "compact", "--store", str(store), "--format", "jsonl"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts = list((store / "requests").rglob("*.parquet"))
    size = sum(part.stat().st_size for part in parts)
    counts = "count(*), count(DISTINCT (boot_id, sequence))"
    connection = duckdb.connect()
    ((records, unique),) = connection.execute(f"SELECT {counts} FROM {_PARTS.format(store)}").fetchall()
    if records != unique:
        sys.exit(f"{records - unique} records are doubled")
    load, *_ = os.getloadavg()
    processor = used.ru_utime + used.ru_stime
    for name, value in {
        "records": f"{records:,}",
        "bytes a record, JSON": f"{incoming / records:.0f}",
        "bytes a record, Parquet": f"{size / records:.1f}",
        "seconds": f"{seconds:.1f}",
        "records/s": f"{records / seconds:,.0f}",
        "processor seconds": f"{processor:.1f}",
        "records/s if two processors were free": f"{2 * records / processor:,.0f}",
        "peak memory, MB": f"{used.ru_maxrss / 1024:.0f}",
        "Parquet files": f"{len(parts)}",
        "processors, load": f"{os.cpu_count()}, {load:.1f}",
    }.items():
        print(f"{name:40} {value:>14}")  # noqa: T201


if __name__ == "__main__":
    main()
