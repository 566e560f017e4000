"""What other prices would make of costs that are known."""

from pathlib import Path

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Report, check_order

_BY = ("day", "model", "api_key")


@click.command(
    epilog="Example: gateway-analytics rerate --as-of 2026-11-01 --by model --last 30d --store /srv/store"
)
@query_options
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The price book to compare with.  [default: the shipped one]",
)
@click.option("--all", "everything", is_flag=True, help="Show groups whose cost stays the same, too.")
def command(query: Query, against: Path | None, everything: bool) -> None:
    """What a price book changes, before it is used: the difference per day, model and key.

    Compares --prices with the shipped book, or with the one that --against names. With --as-of DATE it
    compares with what that book knew on that day: what has been learned since, and what it changes in a
    closed month.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.comparison import compared, differs, shown
    from gateway_analytics.costing import load_book, rate
    from gateway_analytics.output import write
    from gateway_analytics.records import Records, plural
    from gateway_analytics.totals import SUMS

    if query.prices is None and against is None and query.as_of is None:
        raise UsageProblem("nothing to compare. Give --prices NEW.yml, --against OLD.yml or --as-of DATE.")
    by = query.by or _BY
    check_order(query.sort, shown(by))
    after = load_book(query.prices)
    # With --as-of alone a book is compared with itself.
    old = against or (query.prices if query.as_of else None)
    before = load_book(old, query.as_of)

    def answer(records: Records) -> Report:
        report = compared(
            records, by, (before, after), lambda row: rate(before, row), lambda row: rate(after, row)
        )
        report.command = "rerate"
        if not everything:
            same = [row for row in report.rows if not differs(row)]
            report.rows = [row for row in report.rows if differs(row)]
            if same:
                report.notes.append(
                    f"{plural(len(same), 'group')} cost the same and are left out: use --all."
                )
        report.arrange([*([query.sort] if query.sort else []), *by], query.limit)
        return report

    write(ask(query, answer, kept=SUMS), query.form, query.output)
