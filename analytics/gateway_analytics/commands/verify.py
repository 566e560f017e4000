"""Whether every call has its record."""

from dataclasses import replace

import click

from gateway_analytics.grouping import columns
from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.timerange import parse_period
from gateway_contracts.exit_codes import ExitCode

_GROUPS = ("day", "hour", "month", "host")


@click.command(epilog="Example: gateway-analytics verify --last 1d --check --store /srv/store")
@query_options
@click.option("--check", is_flag=True, help="End with exit code 1 where a record is lost.")
@click.option(
    "--settle",
    metavar="PERIOD",
    default="10m",
    show_default=True,
    help="Take what happened so shortly ago for not yet shipped.",
)
@click.option(
    "--overdue",
    metavar="PERIOD",
    default="7d",
    show_default=True,
    help="Wait so long for a host of which nothing newer has arrived, before its calls count as lost.",
)
def command(query: Query, check: bool, settle: str, overdue: str) -> None:
    """Whether every call has its record, by two witnesses: load balancers, and the numbers in the records.

    Per hour and host, the calls that passed a load balancer: recorded; limited, turned away there; no_call,
    which leaves no record, such as a listing; before_gateway, where no gateway was reached; in_flight, where
    the gateway died with the call; not_yet_shipped; lost. sequence_gaps counts the records that gateways
    numbered and the store has not, not_through_load_balancer the records that no load balancer knows of.
    A host is the gateway's, where the call reached one.
    """
    from gateway_analytics.output import write
    from gateway_analytics.records import Records, ask
    from gateway_analytics.verification import COUNTS, explain

    by = query.by or ("hour", "host")
    if wrong := [name for name in by if name not in _GROUPS]:
        raise UsageProblem(f"--by {wrong[0]} is nothing that both witnesses know. Use {', '.join(_GROUPS)}.")
    if wrong := [name for name, values in query.filters.items() if values and name != "host"]:
        raise UsageProblem(f"--{wrong[0].replace('_', '-')}: a load balancer does not know it. Leave it out.")
    if query.store is None:
        raise UsageProblem("verify looks at a store. Use --store in place of --results.")
    shown = (*columns(by), *(Column(name, "int") for name in COUNTS))
    check_order(query.sort, shown)
    store, hosts = query.store, query.filters["host"]
    settled, overdue_after = parse_period("--settle", settle), parse_period("--overdue", overdue)
    lost = 0

    def answer(records: Records) -> Report:
        nonlocal lost
        rows = explain(records, store, by, hosts, settled, overdue_after)
        totals = next(({n: int(row[n]) for n in COUNTS} for row in rows if row["is_total"]), None)
        totals = totals or dict.fromkeys(COUNTS, 0)
        lost = totals["lost"]
        report = Report(
            "verify",
            records.range,
            shown,
            [
                {name: row[name] for name in by} | {name: int(row[name]) for name in COUNTS}
                for row in rows
                if not row["is_total"]
            ],
            totals,
            records.warnings,
            records.notes,
        )
        report.arrange([*([query.sort] if query.sort else []), *by], query.limit)
        return report

    # Unfiltered: what a host has not is known only beside what the others have.
    everything = replace(query, filters={})
    write(ask(everything, answer, access=True), query.form, query.output)
    if check and lost:
        click.echo(f"verify: {lost} records are lost.", err=True)
        click.get_current_context().exit(ExitCode.CHECK_FAILED)
