"""Whether the price book is right, and has every model that is called."""

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order
from gateway_analytics.timerange import TimeRange
from gateway_contracts.exit_codes import ExitCode

if TYPE_CHECKING:
    from gateway_analytics.records import Records
    from gateway_contracts.price_book import PriceBook

_COLUMNS = (
    Column("kind"),
    Column("provider"),
    Column("model"),
    Column("valid_from"),
    Column("requests", "int"),
    Column("problem", longest=160),
)


@click.command(epilog="Example: gateway-analytics prices check --store /srv/store --last 30d")
@query_options(store_required=False)
def command(query: Query) -> None:
    """Find gaps and odd prices in the book and, with --store, what was called and has no price.

    Ends with exit code 1 where it finds something. A book with unknown fields, negative prices or two
    prices for one model and day cannot be used at all: that is exit code 2, here as in every other command.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write
    from gateway_analytics.price_check import findings
    from gateway_analytics.totals import SUMS

    check_order(query.sort, _COLUMNS)
    book = load_book(query.prices, query.as_of)
    rows: list[dict[str, Any]] = [asdict(finding) | {"requests": None} for finding in findings(book)]
    report = Report("prices check", TimeRange(query.tz), _COLUMNS, rows)
    if query.store is not None or query.results is not None:
        report = ask(query, lambda records: _with_calls(records, book, rows), kept=SUMS)
    report.hidden = frozenset(() if any(row["requests"] for row in report.rows) else ("requests",))
    report.arrange([query.sort] if query.sort else [], query.limit)
    if not report.rows:
        report.notes.append(f"nothing found: {len(book.prices)} prices are in order.")
    write(report, query.form, query.output)
    if report.rows:
        sys.exit(ExitCode.CHECK_FAILED)


def _with_calls(records: "Records", book: "PriceBook", rows: list[dict[str, Any]]) -> Report:
    from gateway_analytics.costing import rated

    unpriced: Counter[tuple[str | None, str, str | None, str]] = Counter()
    for row, rating in rated(records, book, ("provider", "model")):
        if rating.unpriced is not None:
            model = row["model"] or "(none)"
            unpriced[row["provider"], model, row["service_tier"], rating.unpriced] += int(row["records"])
    found = [
        {
            "kind": "unpriced",
            "provider": provider,
            "model": model,
            "valid_from": None,
            "requests": count,
            "problem": reason + (f" (tier {tier})" if tier else ""),
        }
        for (provider, model, tier, reason), count in unpriced.most_common()
    ]
    return Report("prices check", records.range, _COLUMNS, rows + found, {}, records.warnings, records.notes)
