"""The health of a store: what is late, lost, refused or about to run out."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from gateway_analytics.bucket import Bucket
from gateway_analytics.costing import costs
from gateway_analytics.records import Records, plural
from gateway_analytics.sql_text import sql
from gateway_analytics.verification import explain
from gateway_contracts.price_book import PriceBook, Unpriced

_LATE_SECONDS = 3600
_SKEW_MS = 1000
_DAYS_LEFT_WARN, _DAYS_LEFT_FAIL = 14, 2
_DAYS_MEASURED = 7
# As `verify` has them unless told otherwise.
_SETTLE, _OVERDUE = timedelta(minutes=10), timedelta(days=7)

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do where that is not well."""

    check: str
    status: Status
    found: str
    remedy: str | None = None


def examine(records: Records, store: Path, book: PriceBook) -> Iterator[Finding]:
    """Every check, on the calls of a question that was asked with `access`."""
    yield from _hosts(records)
    yield _refused(records)
    yield _witnesses(records, store)
    if not Bucket.of(store):
        yield disk(store)
    yield _prices(records, book)


def _hosts(records: Records) -> Iterator[Finding]:
    rows = records.rows(sql("doctor_hosts"))
    if not rows:
        yield Finding(
            "calls", "warn", "no calls in this range", "Is the fleet in use, and do records arrive?"
        )
    for row in rows:
        name = f"host {row['host']}"
        found = f"newest call {_long(row['age_seconds'])} ago, of {plural(row['calls'], 'record')}"
        if row["age_seconds"] < -1:
            yield Finding(
                name, "fail", f"a call {_long(-row['age_seconds'])} in the future", "Set its clock (NTP)."
            )
        elif row["skew_ms"] is not None and abs(row["skew_ms"]) > _SKEW_MS:
            skew = f"clock {row['skew_ms'] / 1000:+.1f} s from the load balancer's"
            yield Finding(name, "warn", f"{found}; {skew}", "Set the clocks (NTP).")
        elif row["behind_seconds"] > _LATE_SECONDS:
            late = f"{found}; others are {_long(row['behind_seconds'])} ahead"
            yield Finding(name, "warn", late, "Idle, drained, or is its shipper stuck? See its log.")
        else:
            yield Finding(name, "ok", found)


def _refused(records: Records) -> Finding:
    refused = [warning for warning in records.warnings if warning.startswith("not counted")]
    if refused:
        return Finding("lines", "fail", "; ".join(refused), "See what wrote them, and put them right.")
    return Finding("lines", "ok", "every line is a record")


def _witnesses(records: Records, store: Path) -> Finding:
    """What `verify` finds, in short."""
    rows = explain(records, store, ("host",), (), _SETTLE, _OVERDUE)
    counts = next((row for row in rows if row["is_total"]), None)
    count = {name: int(counts[name]) if counts else 0 for name in ("lost", "sequence_gaps", "in_flight")}
    remedy = "See gateway-analytics verify, and the hosts' shippers."
    if count["lost"]:
        missing = plural(count["sequence_gaps"], "number")
        return Finding(
            "records", "fail", f"{plural(count['lost'], 'record')} lost; {missing} missing", remedy
        )
    if count["in_flight"]:
        return Finding("records", "warn", f"{plural(count['in_flight'], 'call')} died with a gateway", remedy)
    if count["sequence_gaps"]:
        found = (
            f"{plural(count['sequence_gaps'], 'number')} missing, of records that may still be on their way"
        )
        return Finding("records", "warn", found, remedy)
    return Finding("records", "ok", "none is missing")


def disk(store: Path) -> Finding:
    """Days until the store's file system is full, at the pace of its newest days."""
    usage = shutil.disk_usage(store)
    days: dict[str, int] = {}
    for kind in ("requests", "access"):
        for partition in sorted((store / kind).glob("date=*"))[-_DAYS_MEASURED:]:
            size = sum(entry.stat().st_size for entry in os.scandir(partition) if entry.is_file())
            days[partition.name] = days.get(partition.name, 0) + size
    waiting = sum(path.stat().st_size for path in (store / "incoming").glob("*/*.jsonl"))
    free = f"{usage.free / 1e9:.1f} GB free, {waiting / 1e6:.0f} MB not compacted"
    if not days:
        return Finding("disk", "ok", f"{free}; no pace known yet")
    pace = sum(days.values()) / len(days)
    left = usage.free / pace if pace else float("inf")
    found = f"{free}; {pace / 1e6:.1f} MB a day: room for {left:,.0f} days"
    if left < _DAYS_LEFT_FAIL:
        return Finding("disk", "fail", found, "Make room now, or delete old days.")
    if left < _DAYS_LEFT_WARN:
        return Finding("disk", "warn", found, "Add disk, or keep fewer days.")
    return Finding("disk", "ok", found)


def _prices(records: Records, book: PriceBook) -> Finding:
    priced = costs(records, book, ())
    missing = {
        model: count for (model, reason), count in priced.unpriced.items() if reason == Unpriced.NO_PRICE
    }
    if not missing:
        return Finding("prices", "ok", "every model that was called has a price")
    named = ", ".join(f"{model} ({plural(count, 'call')})" for model, count in sorted(missing.items())[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return Finding(
        "prices", "warn", f"no price for {named}{more}", "Add them: gateway-analytics prices refresh."
    )


def _long(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"
