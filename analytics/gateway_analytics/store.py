"""The files of a log store."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway_analytics.problems import UsageProblem
from gateway_contracts.request_record import SCHEMA_VERSION, problem

# A file written to this recently may end in a line that is still being written.
STILL_WRITTEN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """The files that a query reads."""

    incoming: list[str]
    parquet: list[str]

    @property
    def vanished(self) -> bool:
        """Whether a file is gone since it was listed: compaction replaced it meanwhile."""
        return any(not Path(name).exists() for name in (*self.incoming, *self.parquet))


def list_files(store: Path, first_utc_date: str | None, last_utc_date: str | None) -> StoreFiles:
    """The request records' files that may hold calls of these UTC dates. Raises UsageProblem."""
    with _readable(store):
        if not store.exists():
            raise UsageProblem(
                f"--store: {store} does not exist. Give the directory that holds incoming/ and requests/."
            )
        if not store.is_dir():
            raise UsageProblem(
                f"--store: {store} is no directory. Give the one that holds incoming/ and requests/."
            )
        # In this order: what compaction moves meanwhile is seen twice, and counted once, instead of never.
        incoming = sorted(_files(store / "incoming" / "requests", ".jsonl"))
        parquet: list[str] = []
        partitions = store / "requests"
        for partition in sorted(entry.name for entry in partitions.iterdir()) if partitions.is_dir() else ():
            day = partition.removeprefix("date=")
            if day == partition or (first_utc_date or day) > day or day > (last_utc_date or day):
                continue
            parquet += sorted(_files(partitions / partition, ".parquet"))
    return StoreFiles(incoming, parquet)


def _files(directory: Path, suffix: str) -> Iterator[str]:
    """The files right in a directory with this suffix; names that start with a dot are half written."""
    if not directory.is_dir():
        return
    for entry in os.scandir(directory):
        if entry.name.endswith(suffix) and not entry.name.startswith(".") and entry.is_file():
            yield entry.path


@contextmanager
def _readable(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageProblem(
            f"--store: {error.filename or store} cannot be read: {error.strerror}. Run as a user who may."
        ) from None


def settled_problems(name: str, found: int) -> int:
    """How many complete lines of an incoming file are no records, where a query found so many.

    The last line of a file that is being written may be cut only for now; it is left out.
    """
    path = Path(name)
    try:
        if time.time() - path.stat().st_mtime > STILL_WRITTEN_SECONDS:
            return found
        with path.open("rb") as lines:
            return sum(_broken(line) for line in lines if line.endswith(b"\n") and line.strip())
    except OSError:
        return found


def _broken(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return True
    version = record.get("schema_version") if isinstance(record, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return False
    return problem(record) is not None or not _is_utc(record["received_at"])


def _is_utc(text: str) -> bool:
    try:
        return text.endswith("Z") and datetime.fromisoformat(text) is not None
    except ValueError:
        return False
