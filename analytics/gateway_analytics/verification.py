"""What the load balancers saw beside what the store holds."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway_analytics.grouping import grouping_sets, quoted, selected
from gateway_analytics.manifest import Manifest
from gateway_analytics.records import Records
from gateway_analytics.sql_text import sql

# Calls that leave a request record (docs/request-record.md); a load balancer sees others, too.
CALL_PATH = (
    "/(gateway|endpoints)/[^/]+/invocations|/v1/(chat/completions|completions|embeddings|messages|responses)"
)
# How a call that passed a load balancer is explained.
CLASSES = (
    *("recorded", "limited", "no_call", "before_gateway", "in_flight", "not_yet_shipped"),
    "not_through_load_balancer",
)
COUNTS = (*CLASSES, "sequence_gaps", "lost")

_IN_RANGE = (
    "{0} >= coalesce(getvariable('since'), TIMESTAMPTZ '-infinity')"
    " AND {0} <= coalesce(getvariable('until'), TIMESTAMPTZ 'infinity')"
)


def explain(
    records: Records,
    store: Path,
    by: Sequence[str],
    hosts: Sequence[str],
    settle: timedelta,
    overdue: timedelta,
) -> list[dict[str, Any]]:
    """Rows of COUNTS for each group, and one with `is_total`, from the views with access records.

    With `hosts` only of those.
    """
    execute = records.connection.execute
    now = datetime.now(UTC)
    for name, moment in {"settled": now - settle, "overdue": now - overdue}.items():
        execute(f"SET VARIABLE {name} = CAST($moment AS TIMESTAMPTZ)", {"moment": moment.isoformat()})
    execute("SET VARIABLE hosts = CAST($hosts AS VARCHAR[])", {"hosts": list(hosts)})
    execute(
        sql(
            "witnesses",
            calls=f"'{CALL_PATH}'",
            first_known=_first_known(records, store),
            call_in_range=_IN_RANGE.format("passed.received_at"),
            in_range=_IN_RANGE.format("received_at"),
        )
    )
    balanced = execute("SELECT EXISTS (FROM passed)").fetchall()[0][0]
    if not balanced:
        records.warnings.append(
            "no access records: only gaps in the numbers of request records were looked for"
        )
    return records.rows(
        sql(
            "verify",
            in_range=_IN_RANGE.format("received_at"),
            balanced="true" if balanced else "false",
            counts="".join(
                f"coalesce(sum(calls) FILTER (class IN ('{name}', 'gap_{name}')), 0) AS {name}, "
                for name in CLASSES
            ),
            sums=", ".join(f"CAST(coalesce(sum({name}), 0) AS BIGINT) AS {name}" for name in COUNTS),
            by=selected(by),
            by_columns="".join(f"{name}, " for name in quoted(by)),
            is_total=f"grouping({', '.join(quoted(by))}) > 0",
            grouping_sets=grouping_sets(by),
        )
    )


def _first_known(records: Records, store: Path) -> str:
    """From when on a process whose first record is not its number 1 has lost what came before."""
    if records.range.since is not None:
        return "TIMESTAMPTZ 'infinity'"  # it may have come before the range
    deleted = Manifest.load(store).deleted_before.get("requests")
    # Records of before may have been deleted for their age; a process that was idle for a week is rare.
    return f"TIMESTAMPTZ '{deleted}T00:00:00Z' + INTERVAL 7 DAY" if deleted else "TIMESTAMPTZ '-infinity'"
