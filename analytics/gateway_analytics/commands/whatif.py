"""What calls would have cost elsewhere."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Report, check_order
from gateway_contracts.suggestion import did_you_mean

if TYPE_CHECKING:
    from gateway_contracts.price_book import PriceBook, Rating

_BY = ("model",)
_PERIOD = "30d"


@click.command(
    epilog="Example: gateway-analytics whatif --map gpt-4o=gpt-4o-mini --last 30d --store /srv/store"
)
@query_options
@click.option(
    "--map",
    "mapped",
    metavar="MODEL=[PROVIDER:]MODEL",
    multiple=True,
    required=True,
    help="Price calls of one model, as configured or as answered, as if another had served them; repeats.",
)
def command(query: Query, mapped: tuple[str, ...]) -> None:
    """What the same tokens would have cost with other models: the last 30 days, unless a range is given.

    Tokens are those of the calls as they were. Another model counts and answers differently: take it as an
    estimate.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.comparison import compared, shown
    from gateway_analytics.costing import load_book, rate
    from gateway_analytics.output import write
    from gateway_analytics.records import Records
    from gateway_analytics.totals import SUMS

    by = query.by or _BY
    check_order(query.sort, shown(by))
    book = load_book(query.prices, query.as_of)
    targets = dict(_target(book, text) for text in mapped)
    if query.store is not None and query.since is query.until is query.last is None:
        query = replace(query, last=_PERIOD)
    used: set[str] = set()

    def elsewhere(row: Mapping[str, Any]) -> "Rating":
        source = next((row[n] for n in ("response_model", "request_model") if row[n] in targets), None)
        if source is None or row["basis"] == "unbilled":
            return rate(book, row)
        used.add(source)
        provider, model = targets[source]
        # What a provider stated it charged says nothing about another model.
        other = {"provider": provider or row["provider"], "response_model": model, "request_model": model}
        return rate(book, {**row, **other, "basis": "computed"})

    def answer(records: Records) -> Report:
        report = compared(records, by, (book,), lambda row: rate(book, row), elsewhere)
        report.command = "whatif"
        report.warnings += [f"no call of {name!r} in this range" for name in targets if name not in used]
        report.arrange([*([query.sort] if query.sort else ["cost_before_usd"]), *by], query.limit)
        return report

    write(ask(query, answer, kept=SUMS), query.form, query.output)


def _target(book: "PriceBook", text: str) -> tuple[str, tuple[str | None, str]]:
    source, _, target = text.partition("=")
    provider, colon, model = target.partition(":")
    if not colon or not any(price.provider == provider for price in book.prices):
        provider, model = "", target
    if not source or not model:
        raise UsageProblem(f"--map: {text!r} maps nothing. Write it as gpt-4o=gpt-4o-mini.")
    known = {
        name for price in book.prices for name in price.names if not provider or price.provider == provider
    }
    if model not in known:
        near = did_you_mean(model, sorted(known))
        remedy = near if near.startswith(" Did") else " `gateway-analytics prices list` shows what it has."
        raise UsageProblem(f"--map: the price book has no price for {model!r}.{remedy}")
    if provider and book.find(provider, model, date.max) is None:
        raise UsageProblem(f"--map: the price book has no price for {model!r} of {provider}.")
    return source, (provider or None, model)
