"""The one form of JSON output that every command of the project has."""

from datetime import UTC, datetime
from typing import Any

SCHEMA_VERSION = 1


def envelope(
    command: str,
    rows: list[dict[str, Any]],
    totals: dict[str, Any],
    *,
    since: datetime,
    until: datetime,
    warnings: list[str] | None = None,
) -> dict[str, Any]:
    """Return rows and totals of a command; the range is the time in which it ran."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "range": {"since": timestamp(since), "until": timestamp(until), "tz": "UTC"},
        "rows": rows,
        "totals": totals,
        "warnings": warnings or [],
    }


def timestamp(moment: datetime) -> str:
    """Return a moment as UTC, RFC 3339, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
