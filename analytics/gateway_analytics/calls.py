"""The view `calls`: request records, each with who owned its key on its day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from gateway_analytics import records as request_records
from gateway_analytics import totals, yaml_file
from gateway_analytics.options import Query
from gateway_analytics.problems import UsageProblem
from gateway_analytics.progress import progress
from gateway_analytics.records import Records
from gateway_analytics.sql_text import sql

T = TypeVar("T")

_FIELDS = {
    "api_key": yaml_file.text,
    "owner": yaml_file.text,
    "team": yaml_file.text,
    "valid_from": yaml_file.day,
}
_BEGINNING = "0001-01-01"


_IN_RANGE = (
    "received_at >= coalesce(getvariable('since'), TIMESTAMPTZ '-infinity')"
    " AND received_at <= coalesce(getvariable('until'), TIMESTAMPTZ 'infinity')"
)


def ask(
    query: Query,
    question: Callable[[Records], T],
    *,
    access: bool = False,
    kept: totals.Kind | None = None,
) -> T:
    """Put a question to the calls that a query is about. Raises UsageProblem.

    With `kept` the view `calls` lacks the days of which that is kept: they are in a view `kept`, where
    `records.has_kept`. `costing.token_sums` knows what to do with sums.

    With `access` there is `access_records` as well, which reaches a day beyond the range on both sides, so
    that calls around its ends find their counterpart.
    """
    owners = read_owners(query.owners) if query.owners else []

    def with_owners(records: Records) -> T:
        view_calls(records, owners)
        with progress(records.connection):
            return question(records)

    return request_records.ask(query, with_owners, access=access, kept=kept)


def view_calls(records: Records, owners: list[dict[str, Any]]) -> None:
    """Create the view; owners are entries of a file of owners."""
    execute = records.connection.execute
    execute(
        "CREATE OR REPLACE TEMP TABLE ownership"
        " (api_key_id VARCHAR, owner VARCHAR, team VARCHAR, valid_from DATE)"
    )
    if owners:
        records.connection.executemany(
            "INSERT INTO ownership VALUES ($api_key, $owner, $team, $valid_from)",
            [entry | {"valid_from": str(entry["valid_from"] or _BEGINNING)} for entry in owners],
        )
    execute(sql("owners", view="calls", source="records", in_range=_IN_RANGE))
    if records.has_kept:
        execute(sql("owners", view="kept", source="kept_records", in_range=_IN_RANGE))


def read_owners(path: Path) -> list[dict[str, Any]]:
    """Who owns a key from when on. Raises UsageProblem."""
    entries = yaml_file.read_entries(path, "--owners", "owners", _FIELDS, ("api_key", "owner"))
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        key = (entry["api_key"], str(entry["valid_from"] or _BEGINNING))
        if key in seen:
            raise UsageProblem(
                f"--owners: {path}: key {entry['api_key']!r} has two owners from the same day on."
                " Remove one, or give the later one its valid_from."
            )
        seen.add(key)
    return entries
