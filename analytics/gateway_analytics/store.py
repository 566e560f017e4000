"""The files of a log store."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway_analytics import parts
from gateway_analytics.bucket import Bucket
from gateway_analytics.manifest import Manifest
from gateway_analytics.problems import UsageProblem
from gateway_analytics.record_kind import REQUESTS, RecordKind


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """The files of one kind of records that a query reads."""

    incoming: list[str]
    parquet: list[str]
    # Bytes at the beginning of an incoming file that compaction is done with.
    consumed: Mapping[str, int] = field(default_factory=dict)
    inodes: Mapping[str, int] = field(default_factory=dict)

    @property
    def vanished(self) -> bool:
        """Whether a file is gone since it was listed: compaction was done with it meanwhile."""
        return self.replaced or any(
            # In a bucket, a part stays long after another took its place.
            not name.startswith("s3://") and not Path(name).exists()
            for name in (*self.incoming, *self.parquet)
        )

    @property
    def replaced(self) -> bool:
        """Whether an incoming file is another one of the same name by now."""
        return any(_inode(name) not in (None, inode) for name, inode in self.inodes.items())


def list_files(
    store: Path, first_utc_date: str | None, last_utc_date: str | None, kind: RecordKind = REQUESTS
) -> StoreFiles:
    """The files that may hold records of these UTC dates. Raises UsageProblem."""
    if bucket := Bucket.of(store):
        return StoreFiles([], bucket.parts(kind, first_utc_date, last_utc_date))
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
        incoming, consumed, inodes = _incoming(store, kind)
        parquet: list[str] = []
        partitions = store / kind.name
        for partition in sorted(entry.name for entry in partitions.iterdir()) if partitions.is_dir() else ():
            day = partition.removeprefix("date=")
            if day == partition or (first_utc_date or day) > day or day > (last_utc_date or day):
                continue
            parquet += list_parts(partitions / partition)
    return StoreFiles(incoming, parquet, consumed, inodes)


def _inode(name: str) -> int | None:
    try:
        return Path(name).stat().st_ino
    except FileNotFoundError:
        return None


def _incoming(store: Path, kind: RecordKind) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """Files with lines that compaction has not read, how much of each it has, and their inodes."""
    names = sorted(files(store / "incoming" / kind.name, ".jsonl"))
    manifest = Manifest.load(store)
    consumed, inodes = {}, {}
    for name in names:
        try:
            done = manifest.consumed(store, f"{kind.name}/{Path(name).name}")
            status = Path(name).stat()
            if status.st_size > done:
                consumed[name], inodes[name] = done, status.st_ino
        except FileNotFoundError:
            continue  # compaction was done with it
    return list(consumed), consumed, inodes


def list_parts(partition: Path) -> list[str]:
    """The Parquet files of one day, without those whose place another has taken. Raises OSError."""
    names = {Path(name).name: name for name in files(partition, ".parquet")}
    gone = parts.replaced(names)
    return sorted(path for name, path in names.items() if name not in gone)


def files(directory: Path, suffix: str) -> Iterator[str]:
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
