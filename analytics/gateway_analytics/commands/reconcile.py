"""Whether a provider's account and the store agree."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report, check_order

if TYPE_CHECKING:
    from gateway_analytics.costing import Cost
    from gateway_analytics.provider_export import Used
    from gateway_analytics.records import Records

_COLUMNS = (
    Column("day"),
    Column("model"),
    Column("provider_requests", "int"),
    Column("requests", "int"),
    Column("provider_tokens", "int"),
    Column("tokens", "int"),
    Column("provider_cost_usd", "usd"),
    Column("cost_usd", "usd", missing="unpriced"),
    Column("difference_usd", "usd"),
    Column("likely_cause", longest=120),
)
_CENT = Decimal("0.01")


@click.command(epilog="Example: gateway-analytics reconcile bill.csv --provider openai --store /srv/store")
@click.argument("file", type=click.Path(path_type=Path))
@query_options
@click.option("--all", "everything", is_flag=True, help="Show days and models that agree, too.")
def command(query: Query, file: Path, everything: bool) -> None:
    """Compare a provider's usage or cost export (CSV or JSON) with the store, per UTC day and model.

    Shows where they differ by a cent or in tokens, and the likely cause. difference_usd is theirs less ours;
    what an export of costs does not have counts there as nothing.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, exact_sum, load_book
    from gateway_analytics.output import write
    from gateway_analytics.provider_export import read_export
    from gateway_analytics.records import plural
    from gateway_analytics.totals import SUMS

    if len(query.filters["provider"]) != 1:
        raise UsageProblem("whose account is it? Give one --provider NAME, such as openai.")
    if query.by or query.tz != "UTC":
        raise UsageProblem("providers account per UTC day and model. Leave out --by and --tz.")
    check_order(query.sort, _COLUMNS)
    theirs = read_export(file)
    has_costs = any(used.cost_usd is not None for used in theirs.values())
    accounted = sorted({day for day, _ in theirs})
    if accounted and not query.last:
        query = replace(query, since=query.since or accounted[0], until=query.until or accounted[-1])
    book = load_book(query.prices, query.as_of)

    def answer(records: "Records") -> Report:
        priced = costs(records, book, ("day", "model"))
        ours = {(d, m or ""): cost for (d, m), cost in priced.groups.items() if d in accounted}
        keys = sorted(theirs.keys() | ours.keys())
        rows = [_row(key, theirs.get(key), ours.get(key), has_costs=has_costs) for key in keys]
        total: dict[str, Any] = {}
        for column in _COLUMNS:
            known = [row[column.name] for row in rows if row[column.name] is not None]
            if column.kind in ("int", "usd"):
                add = sum if column.kind == "int" else exact_sum
                total[column.name] = add(known) if known else None
        agreeing = [row for row in rows if row["likely_cause"] is None]
        if not everything:
            rows = [row for row in rows if row["likely_cause"] is not None]
            if agreeing:
                records.notes.append(f"left out, as they agree: {plural(len(agreeing), 'row')}. Use --all.")
        report = Report(
            "reconcile",
            records.range,
            _COLUMNS,
            rows,
            total,
            records.warnings + priced.warnings,
            records.notes,
        )
        report.arrange([query.sort] if query.sort else [], query.limit)
        return report

    write(ask(query, answer, kept=SUMS), query.form, query.output)


def _row(
    key: tuple[str, str], theirs: "Used | None", ours: "Cost | None", *, has_costs: bool
) -> dict[str, Any]:
    from gateway_analytics.costing import exact_sum

    provider_tokens = _sum(theirs)
    tokens = _sum(ours)
    provider_cost = theirs.cost_usd if theirs else None
    cost = ours.cost_usd if ours else Decimal(0)
    billed = Decimal(0) if theirs is None and has_costs and cost is not None else provider_cost
    return {
        "day": key[0],
        "model": key[1] or None,
        "provider_requests": theirs.requests if theirs else None,
        "requests": ours.attempts if ours else 0,
        "provider_tokens": provider_tokens,
        "tokens": tokens,
        "provider_cost_usd": provider_cost,
        "cost_usd": cost,
        "difference_usd": None if billed is None else exact_sum((billed, (cost or Decimal(0)).copy_negate())),
        "likely_cause": _cause(theirs, ours, provider_tokens, tokens),
    }


def _sum(used: "Used | Cost | None") -> int | None:
    known = [] if used is None else [n for n in (used.input_tokens, used.output_tokens) if n is not None]
    return sum(known) if known else None


def _cause(
    theirs: "Used | None", ours: "Cost | None", provider_tokens: int | None, tokens: int | None
) -> str | None:
    """Why the two differ, most telling first; None where they agree."""
    if theirs is None:
        spent = ours is not None and (ours.cost_usd or ours.unpriced_requests)
        return (
            "not in the export: another name for the model, another account, or not billed yet"
            if spent
            else None
        )
    if ours is None:
        return "not in the store: called without the gateway, or another name for the model"
    if provider_tokens is not None and provider_tokens != (tokens or 0):
        if provider_tokens > (tokens or 0):
            return "tokens missing here: calls without the gateway, cut streams, or records not arrived"
        return "tokens missing there: another account, a call over midnight, or not billed yet"
    if theirs.cost_usd is None:
        return None
    if ours.unpriced_requests:
        return "calls without a price here: see gateway-analytics prices check"
    if abs(theirs.cost_usd - (ours.cost_usd or 0)) < _CENT:
        return None
    if provider_tokens is None:
        return "cost alone cannot tell calls from prices: export usage too"
    return "same tokens, another price: a discount, a service tier, or an old price book"
