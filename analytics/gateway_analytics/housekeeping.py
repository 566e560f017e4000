"""What compaction does besides: clean up after a killed one, remove what is done, merge small parts."""

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway_analytics import parts, quarantine
from gateway_analytics.batches import RETIRED, incoming_names, is_settled
from gateway_analytics.compaction import PARQUET, TEMPORARY, open_duckdb, quoted, sync_file
from gateway_analytics.manifest import NAME, Manifest, sync_directory
from gateway_analytics.parts import Part
from gateway_analytics.record_kind import KINDS, RecordKind
from gateway_analytics.sql_text import sql
from gateway_analytics.store import list_parts

# Parts smaller than this are merged, once there are so many in a row.
SMALL_BYTES = 8 << 20
SMALL_PARTS = 4
MERGE_MEMORY = "512MB"
_DELETED = ".deleted"


def recover(store: Path) -> Manifest:
    """Remove what a compaction left that ended in its midst; return the manifest. Raises OSError."""
    manifest = Manifest.load(store)
    if (store / NAME).exists():
        quarantine.recover(store, manifest)
    else:
        quarantine.adopt(store, manifest)
        manifest.save(store)
    shutil.rmtree(store / ".compaction", ignore_errors=True)
    for kind in KINDS:
        directory = store / kind.name
        for partition in list(directory.iterdir()) if directory.is_dir() else []:
            if partition.name.endswith(_DELETED):
                shutil.rmtree(partition)
                continue
            if not partition.is_dir():
                if partition.name.endswith(TEMPORARY):
                    partition.unlink()
                continue
            names = [path.name for path in partition.iterdir()]
            for name in [*(name for name in names if name.endswith(TEMPORARY)), *parts.replaced(names)]:
                (partition / name).unlink()
        _recover_retired(store, manifest, kind)
    there = {name for kind in KINDS for name in incoming_names(store, kind)}
    manifest.files = {name: one for name, one in manifest.files.items() if name in there}
    return manifest


def _recover_retired(store: Path, manifest: Manifest, kind: RecordKind) -> None:
    """Give a file that was taken out of sight its progress, where the manifest still has its old name."""
    for name in incoming_names(store, kind):
        if name.endswith(RETIRED) and name not in manifest.files:
            before = _name_before(name)
            if before in manifest.files:
                manifest.files[name] = manifest.files[before]
                if manifest.consumed(store, name) == 0:
                    del manifest.files[name]


def retire(store: Path, manifest: Manifest, kind: RecordKind, settle: float) -> int:
    """Take files away that are done; return how many went. Raises OSError.

    First out of readers' and writers' sight; for good only so many seconds later: what a writer that had the
    file open still added is read before that.
    """
    removed = 0
    names = list(incoming_names(store, kind))
    for name in names:
        path = store / "incoming" / name
        if path.stat().st_size > manifest.consumed(store, name) or not is_settled(path, settle):
            continue
        if not name.endswith(RETIRED):
            hidden = path.with_name(f".{path.name}{RETIRED}")
            if hidden.exists():
                continue
            path.rename(hidden)
            manifest.files[f"{kind.name}/{hidden.name}"] = manifest.files.pop(name)
            manifest.save(store)
            sync_directory(path.parent)
            path, name = hidden, f"{kind.name}/{hidden.name}"
        if (
            time.time() >= path.stat().st_ctime + settle
            and path.stat().st_size == manifest.files[name].consumed
        ):
            path.unlink()
            del manifest.files[name]
            manifest.save(store)
            removed += 1
    return removed


def _name_before(name: str) -> str:
    kind, _, hidden = name.partition("/")
    return f"{kind}/{hidden.removeprefix('.').removesuffix(RETIRED)}"


def merge(store: Path, kind: RecordKind) -> int:
    """Make one part of several small ones; return how many there were. Raises OSError, duckdb.Error."""
    merged = 0
    directory = store / kind.name
    for partition in sorted(directory.glob("date=*")):
        for run in _runs(partition):
            _merge(store, partition, run)
            merged += len(run)
    return merged


def _runs(partition: Path) -> Iterator[list[Part]]:
    """Small parts that follow each other, each run of at most twice the size of a small part."""
    today = partition.name >= f"date={datetime.now(UTC):%Y-%m-%d}"
    least = SMALL_PARTS if today else 2
    run: list[Part] = []
    size = 0
    for name in list_parts(partition):
        part, bytes_ = Part.of(Path(name).name), Path(name).stat().st_size
        if part is None:
            continue
        if bytes_ < SMALL_BYTES and size + bytes_ <= 2 * SMALL_BYTES:
            run.append(part)
            size += bytes_
            continue
        if len(run) >= least:
            yield run
        run, size = ([part], bytes_) if bytes_ < SMALL_BYTES else ([], 0)
    if len(run) >= least:
        yield run


def _merge(store: Path, partition: Path, run: list[Part]) -> None:
    whole = Part(run[0].first, run[-1].last)
    temporary = partition / f".{whole.name}{TEMPORARY}"
    with open_duckdb(store, MERGE_MEMORY, threads=2) as connection:
        connection.execute(
            sql("merge_parts", path=quoted(temporary), options=PARQUET),
            {"parts": [str(partition / part.name) for part in run]},
        )
    sync_file(temporary)
    temporary.replace(partition / whole.name)
    sync_directory(partition)
    for part in run:
        (partition / part.name).unlink()


def delete_days(store: Path, manifest: Manifest, kind: RecordKind, days: int) -> int:
    """Delete the partitions of all but the last so many UTC days; return how many went. Raises OSError."""
    first = _first_kept(days)
    manifest.deleted_before[kind.name] = max(manifest.deleted_before.get(kind.name, ""), first.isoformat())
    manifest.save(store)
    deleted = 0
    for partition in sorted((store / kind.name).glob("date=*")):
        try:
            day = date.fromisoformat(partition.name.removeprefix("date="))
        except ValueError:
            continue
        if day < first:
            hidden = partition.with_name(f".{partition.name}{_DELETED}")
            partition.rename(hidden)  # at once for readers, then file after file
            shutil.rmtree(hidden)
            deleted += 1
    return deleted


def delete_quarantine(store: Path, manifest: Manifest, days: int) -> int:
    """Delete the quarantine of all but the last so many UTC days; return how many went. Raises OSError."""
    old = [path for path in quarantine.files(store) if path.name < f"quarantine-{_first_kept(days)}"]
    for path in old:
        path.unlink()
        manifest.quarantine.pop(path.name, None)
    manifest.save(store)
    return len(old)


def _first_kept(days: int) -> date:
    return datetime.now(UTC).date() - timedelta(days=days - 1)
