"""The same calls priced in two ways."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from gateway_analytics.costing import Cost, token_sums
from gateway_analytics.grouping import columns
from gateway_analytics.records import Records
from gateway_analytics.report import Column, Report
from gateway_contracts.price_book import EXACT, PriceBook, Rating

Rate = Callable[[Mapping[str, Any]], Rating]

_COLUMNS = (
    Column("requests", "int"),
    Column("cost_before_usd", "usd", missing="unpriced"),
    Column("cost_after_usd", "usd", missing="unpriced"),
    Column("difference_usd", "usd"),
    Column("unpriced_before", "int"),
    Column("unpriced_after", "int"),
)


def shown(by: Sequence[str]) -> tuple[Column, ...]:
    """The columns of a comparison in these groups."""
    return (*columns(by), *_COLUMNS)


def compared(
    records: Records, by: Sequence[str], books: Sequence[PriceBook], before: Rate, after: Rate
) -> Report:
    """Rows per group with the cost before and after; totals are the sums of them all.

    A difference is that of what has a price; calls that gain or lose theirs are counted beside it.
    """
    groups: dict[tuple[Any, ...], tuple[Cost, Cost]] = {}
    totals = (Cost(), Cost())
    for row in token_sums(records, books, by):
        pair = groups.setdefault(tuple(row[name] for name in by), (Cost(), Cost()))
        for number, rating in enumerate((before(row), after(row))):
            pair[number].add(row, rating.cost)
            totals[number].add(row, rating.cost)
    rows = [dict(zip(by, key, strict=True)) | _row(*pair) for key, pair in groups.items()]
    return Report(
        "",
        records.range,
        shown(by),
        rows,
        _row(*totals),
        records.warnings,
        records.notes,
        total_row=bool(by),
    )


def _row(before: Cost, after: Cost) -> dict[str, Any]:
    with localcontext(EXACT):
        difference = (after.cost_usd or Decimal(0)) - (before.cost_usd or Decimal(0))
    return {
        "requests": before.requests,
        "cost_before_usd": before.cost_usd,
        "cost_after_usd": after.cost_usd,
        "difference_usd": difference,
        "unpriced_before": before.unpriced_requests,
        "unpriced_after": after.unpriced_requests,
    }


def differs(row: Mapping[str, Any]) -> bool:
    """Whether a row's cost, or what could not be priced, changed."""
    return bool(row["difference_usd"]) or row["unpriced_before"] != row["unpriced_after"]
