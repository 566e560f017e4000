"""Lines that are no valid record, kept beside the store's records with where they were and what is wrong."""

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gateway_analytics.lines import Problem
from gateway_analytics.manifest import Manifest

DIRECTORY = "quarantine"
# So much of a line is kept; a record has at most 4,096 bytes.
_KEPT_BYTES = 65_536


def add(store: Path, manifest: Manifest, found: Sequence[tuple[str, Problem]]) -> None:
    """Append problems, each with its file below incoming/; the manifest then counts them. Raises OSError."""
    if not found:
        return
    now = datetime.now(UTC)
    path = store / DIRECTORY / f"quarantine-{now:%Y-%m-%d}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        for name, problem in found:
            file.write(_entry(name, problem, now))
        file.flush()
        os.fsync(file.fileno())
        manifest.quarantine[path.name] = file.tell()


def _entry(name: str, problem: Problem, now: datetime) -> bytes:
    entry = {
        "schema_version": 1,
        "file": name,
        "offset": problem.offset,
        "bytes": len(problem.line),
        "reason": problem.reason,
        "quarantined_at": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
        # Bytes that are no UTF-8 become surrogates, as Python's surrogateescape has it: none is lost.
        "line": problem.line[:_KEPT_BYTES].decode("utf-8", "surrogateescape"),
    }
    return json.dumps(entry).encode() + b"\n"


def adopt(store: Path, manifest: Manifest) -> None:
    """Take what is in quarantine as valid, where there is no manifest yet. Raises OSError."""
    manifest.quarantine = {path.name: path.stat().st_size for path in files(store)}


def recover(store: Path, manifest: Manifest) -> None:
    """Take back what a compaction wrote that ended before it was done. Raises OSError."""
    for path in files(store):
        size = manifest.quarantine.get(path.name, 0)
        if path.stat().st_size > size:
            os.truncate(path, size)


def count(store: Path, manifest: Manifest) -> int:
    """How many lines are in quarantine. Raises OSError."""
    lines = 0
    for path in files(store):
        left = manifest.quarantine.get(path.name, path.stat().st_size)
        with path.open("rb") as file:
            while left > 0 and (data := file.read(min(left, 1 << 20))):
                lines += data.count(b"\n")
                left -= len(data)
    return lines


def files(store: Path) -> Iterator[Path]:
    """The files of the quarantine, oldest first."""
    directory = store / DIRECTORY
    if directory.is_dir():
        yield from sorted(path for path in directory.glob("quarantine-*.jsonl") if path.is_file())
