"""How fresh a log store is: when its newest record was made, for each gateway host."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# A record is at most 4,096 bytes, so the last whole one is within these.
_TAIL_BYTES = 3 * 4096


@dataclass(frozen=True)
class StoreStatus:
    """Seconds since the newest request record of each host that wrote any lately; None where there is none.

    Records that were compacted are no longer told apart by host: of those only the newest file's age counts.
    """

    path: Path
    newest_s: float | None
    by_host: dict[str, float]
    problem: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the status as JSON output has it."""
        return {
            "path": str(self.path),
            "newest_record_age_s": self.newest_s,
            "newest_record_age_s_by_host": self.by_host,
            "error": self.problem,
        }

    def words(self) -> str:
        """Return the status in one line."""
        if self.problem is not None:
            return f"log store {self.path}: {self.problem}"
        if self.newest_s is None:
            return f"log store {self.path}: no record yet"
        hosts = ", ".join(f"{host} {_ago(age)}" for host, age in sorted(self.by_host.items()))
        return f"log store {self.path}: newest record {_ago(self.newest_s)}" + (
            f" ({hosts})" if hosts else ""
        )


def ask_store(path: Path) -> StoreStatus:
    """Look into a store. What is wrong with it is part of the status."""
    if not path.is_dir():
        return StoreStatus(path, None, {}, "there is no such folder on this machine")
    now = datetime.now(UTC)
    by_host: dict[str, float] = {}
    ages: list[float] = []
    try:
        for file in (path / "incoming" / "requests").glob("*.jsonl"):
            record = _last_record(file)
            if record is not None:
                host, received_at = record
                age = round((now - received_at).total_seconds(), 1)
                by_host[host] = min(age, by_host.get(host, age))
                ages.append(age)
        for file in (path / "requests").glob("date=*/*.parquet"):
            ages.append(round(now.timestamp() - file.stat().st_mtime, 1))
    except OSError as error:
        return StoreStatus(path, None, {}, f"cannot be read: {error.strerror}")
    return StoreStatus(path, min(ages, default=None), by_host)


def _last_record(file: Path) -> tuple[str, datetime] | None:
    """Return host and time of the last whole record in a file."""
    with file.open("rb") as lines:
        lines.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        for line in reversed(lines.read().split(b"\n")[:-1]):
            try:
                record = json.loads(line)
                return str(record["host"]), datetime.fromisoformat(record["received_at"]).astimezone(UTC)
            except (ValueError, KeyError, TypeError):
                continue  # a broken line is the business of gateway-analytics
    return None


def _ago(seconds: float) -> str:
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds / 86_400:.0f} days ago"
