"""One run of compaction over a store: alone, from cleaning up to merging."""

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway_analytics import housekeeping, totals_run
from gateway_analytics.bucket import Bucket
from gateway_analytics.compaction import compact
from gateway_analytics.problems import UsageProblem
from gateway_analytics.record_kind import KINDS
from gateway_analytics.upload import upload

LOCK = ".compaction.lock"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def run(
    store: Path, settle: float, keep_days: Mapping[str, int], bucket: Bucket | None = None
) -> list[dict[str, Any]]:
    """Compact a store, delete what is too old, and copy Parquet to a bucket; one row of counts per kind.

    Raises UsageProblem.
    """
    import duckdb

    if Bucket.of(store):
        raise UsageProblem(
            "--store names a bucket, where no records arrive. Give the log store's directory, and --upload."
        )
    try:
        if not (store / "incoming").is_dir() and not any((store / kind.name).is_dir() for kind in KINDS):
            raise UsageProblem(f"--store: {store} is no log store. Give the directory that holds incoming/.")
        with _alone(store):
            manifest = housekeeping.recover(store)
            rows = []
            for kind in KINDS:
                outcome = compact(store, manifest, kind, settle)
                days = keep_days.get(kind.name)
                rows.append(
                    {
                        "kind": kind.name,
                        "records": outcome.records,
                        "repeated": outcome.repeated,
                        "quarantined": outcome.quarantined,
                        "files_removed": housekeeping.retire(store, manifest, kind, settle),
                        "days_deleted": housekeeping.delete_days(store, manifest, kind, days) if days else 0,
                        "parts_merged": housekeeping.merge(store, kind),
                        "parts_uploaded": 0,
                    }
                )
            if days := keep_days.get("quarantine"):
                housekeeping.delete_quarantine(store, manifest, days)
            totals_run.refresh(store)
            # Last: what is amiss with a bucket keeps no record from Parquet.
            for row, kind in zip(rows, KINDS, strict=True):
                row["parts_uploaded"] = upload(store, manifest, kind, bucket) if bucket else 0
            return rows
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise UsageProblem(_told(store, error)) from error


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    """Hold the store's lock; the system frees it when the process ends, however it ends."""
    descriptor = os.open(store / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageProblem(
                f"{store} is being compacted by another process. Wait until it is done."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _told(store: Path, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    if getattr(error, "errno", None) in _FULL or "No space left" in reason or "Disk quota" in reason:
        return (
            f"the disk under {store} is full. Nothing is lost: free space, or delete old days with"
            " --keep-requests-days, and run again; compaction goes on where it was."
        )
    return f"{store} cannot be compacted: {reason}. Nothing is lost: mend that and run again."
