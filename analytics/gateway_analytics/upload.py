"""Parquet copied from a store to a bucket: whole parts under the names that they have in the store.

S3 has no rename, and needs none here: an object appears as a whole, a part never changes, and readers leave
out parts whose numbers lie within those of another, in a bucket as in a directory. So a copy that is killed,
or of which the note is lost, is made again or found to be there. What is in the bucket and is not from this
store is never replaced: the copy ends before anything is changed.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway_analytics import parts
from gateway_analytics.bucket import Bucket
from gateway_analytics.manifest import Manifest, sync_directory
from gateway_analytics.problems import UsageProblem
from gateway_analytics.record_kind import RecordKind
from gateway_analytics.store import list_parts

NOTE = "uploaded.json"
# A query that began before may still read a part that another has replaced.
KEPT = timedelta(hours=1)
_NOTED_EVERY = 100


def upload(store: Path, manifest: Manifest, kind: RecordKind, bucket: Bucket, kept: timedelta = KEPT) -> int:
    """Copy all parts that the bucket lacks; return how many. Raises OSError, UsageProblem.

    Days that were deleted for their age stay as they are in the bucket, also where late records arrive.
    """
    noted = _read(store)
    known = noted.setdefault(f"{bucket.url}/{kind.name}", [])
    have, there = set(known), bucket.written(kind)
    deleted_before = manifest.deleted_before.get(kind.name, "")
    local = {
        bucket.key(kind.name, partition.name, Path(name).name): Path(name)
        for partition in sorted((store / kind.name).glob("date=*"))
        if partition.name >= f"date={deleted_before}"
        for name in list_parts(partition)
    }
    for key in sorted(there.keys() - have):
        _adopt(bucket, key, local)
        have.add(key)
    copied = 0
    for key, path in local.items():
        if key in have:
            continue
        if not bucket.put(key, path.read_bytes()):
            _adopt(bucket, key, local)
        have.add(key)
        copied += 1
        if copied % _NOTED_EVERY == 0:
            known[:] = sorted(have)
            _write(store, noted)
    for key in _replaced(bucket.written(kind), kept):
        bucket.delete(key)
    known[:] = sorted(have & (bucket.written(kind).keys() | local.keys()))
    _write(store, noted)
    return copied


def _adopt(bucket: Bucket, key: str, local: dict[str, Path]) -> None:
    """Make sure that an object is a part of this store: copied before, and not noted any more."""
    path = local.get(key)
    if path is None or bucket.get(key) != path.read_bytes():
        raise UsageProblem(
            f"s3://{bucket.name}/{key} is not from this store, and was left as it is."
            " Give each store a prefix of its own."
        )


def _replaced(there: dict[str, datetime], kept: timedelta) -> list[str]:
    """Keys of parts whose place another took so long ago."""
    days: dict[str, dict[str, datetime]] = {}
    for key, written in there.items():
        directory, _, name = key.rpartition("/")
        days.setdefault(directory, {})[name] = written
    before = datetime.now(UTC) - kept
    return [
        f"{directory}/{name}"
        for directory, names in days.items()
        for name in parts.replaced(names)
        if (part := parts.Part.of(name))
        and any(
            (other := parts.Part.of(one)) and other.covers(part) and written <= before
            for one, written in names.items()
        )
    ]


def _read(store: Path) -> dict[str, list[str]]:
    try:
        noted: dict[str, list[str]] = json.loads((store / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise UsageProblem(
            f"{store / NOTE} is damaged. Remove it: what is in the bucket is then compared with the store."
        ) from None
    return noted


def _write(store: Path, noted: dict[str, list[str]]) -> None:
    temporary = store / f".{NOTE}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(noted, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(store / NOTE)
    sync_directory(store)
