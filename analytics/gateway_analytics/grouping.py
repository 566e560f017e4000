"""What calls can be grouped by, and how each is found in a record."""

from collections.abc import Sequence

from gateway_analytics.report import Column

# Column expressions over a record of the view `calls`; the session's time zone is the user's.
DIMENSIONS = {
    "day": "clock(received_at, '%Y-%m-%d')",
    # With its offset from UTC: the hour that a change to winter time repeats is two hours.
    "hour": "zoned(received_at, '%Y-%m-%dT%H:00')",
    "month": "clock(received_at, '%Y-%m')",
    "model": "coalesce(response_model, request_model)",
    "request_model": "request_model",
    "provider": "provider",
    "endpoint": "endpoint",
    "operation": "operation",
    "host": "host",
    "instance": "instance",
    "api_key": "api_key_id",
    "owner": "owner",
    "team": "team",
    "user": "end_user",
    "status": "http_status",
    "error_class": "error_class",
}
TIME_DIMENSIONS = ("day", "hour", "month")
OWNED = frozenset({"owner", "team"})  # known only where a file says who owns which key


def columns(by: Sequence[str]) -> list[Column]:
    """The report columns of these groups."""
    return [
        Column(name, "time" if name == "hour" else "text", missing="nobody" if name in OWNED else "-")
        for name in by
    ]


def selected(by: Sequence[str]) -> str:
    """The select list of these groups, ending in a comma; empty for none."""
    return "".join(f'{DIMENSIONS[name]} AS "{name}", ' for name in by)


def grouping_sets(by: Sequence[str]) -> str:
    """Group by these and, for the totals, by nothing."""
    return f"GROUPING SETS (({', '.join(quoted(by))}), ())" if by else "GROUPING SETS (())"


def quoted(names: Sequence[str]) -> list[str]:
    """Column names as SQL."""
    return [f'"{name}"' for name in names]
