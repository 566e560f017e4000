"""Whether a store is well."""

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report, check_order
from gateway_contracts.exit_codes import ExitCode

if TYPE_CHECKING:
    from gateway_analytics.records import Records

_COLUMNS = (
    Column("check"),
    Column("status"),
    Column("found", longest=240),
    Column("remedy", missing="", longest=120),
)
_PERIOD = "7d"


@click.command(epilog="Example: gateway-analytics doctor --store /srv/store")
@query_options
def command(query: Query) -> None:
    """Look over a store: what is late, lost, refused or about to run out; the last 7 days, unless told.

    Per host its newest call and its clock; lines that are no records; records that are missing, of which
    `verify` says more; disk days left; models without a price. Exit code 1 where a check fails.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import load_book
    from gateway_analytics.health import examine
    from gateway_analytics.output import write

    store = query.store
    if store is None:
        raise UsageProblem("doctor looks at a store. Use --store in place of --results.")
    if query.by:
        raise UsageProblem("doctor has no groups. Leave out --by.")
    if any(query.filters.values()):
        raise UsageProblem("doctor looks at the whole store. Leave out filters such as --model.")
    check_order(query.sort, _COLUMNS)
    if query.since is query.until is query.last is None:
        query = replace(query, last=_PERIOD)
    book = load_book(query.prices, query.as_of)

    def answer(records: "Records") -> Report:
        rows = [asdict(finding) for finding in examine(records, store, book)]
        counts = {status: sum(row["status"] == status for row in rows) for status in ("ok", "warn", "fail")}
        return Report("doctor", records.range, _COLUMNS, rows, counts, total_row=False)

    report = ask(query, answer, access=True)
    report.arrange([query.sort] if query.sort else [], query.limit)
    write(report, query.form, query.output)
    if report.totals["fail"]:
        sys.exit(ExitCode.CHECK_FAILED)
