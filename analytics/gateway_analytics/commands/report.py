"""A page that shows it all."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway_analytics.options import Query, query_options
from gateway_analytics.problems import UsageProblem

if TYPE_CHECKING:
    from gateway_analytics.records import Records


@click.command(epilog="Example: gateway-analytics report -o report.html --last 30d --store /srv/store")
@query_options
@click.option(
    "--budgets",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Show these budgets in their current periods, too.",
)
def command(query: Query, budgets: Path | None) -> None:
    """One HTML file without a network: spend, calls, failures, tokens, latency, keys, budgets, data quality.

    It opens in any browser, also on a phone, filters by model and key, and holds no prompts, only what
    records hold. --format json gives its data in the envelope of all commands.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import load_book
    from gateway_analytics.dashboard import as_html, collect
    from gateway_analytics.health import examine
    from gateway_analytics.output import write, write_text
    from gateway_analytics.report import Column, Report

    if query.by or query.sort or query.limit:
        raise UsageProblem("the report has its own groups. Leave out --by, --sort and --limit.")
    if query.form not in ("table", "html", "json"):
        raise UsageProblem("the report is a page. Use -o report.html, or --format json for its data.")
    book = load_book(query.prices, query.as_of)
    spent = _budgets(query, budgets) if budgets else None

    def answer(records: "Records") -> tuple[dict[str, Any], Report]:
        data, _ = collect(records, book)
        data["budgets"] = spent
        if query.store is not None:
            data["quality"] = [asdict(finding) for finding in examine(records, query.store, book)]
        names = ("step", "model", "key", "requests", "failed_requests", "input_tokens", "output_tokens")
        rows = [
            dict(
                zip(
                    names,
                    (data["steps"][r[0]], data["models"][r[1]], data["keys"][r[2]], *r[3:7]),
                    strict=True,
                )
            )
            for r in data["cube"]
        ]
        columns = [Column(name) for name in names]
        return data, Report(
            "report", records.range, columns, rows, {"data": data}, records.warnings, records.notes
        )

    data, report = ask(query, answer, access=True)
    if query.form == "json":
        write(report, query.form, query.output)
        return
    write_text(as_html(data), query.output)


def _budgets(query: Query, path: Path) -> list[dict[str, Any]]:
    from gateway_analytics.commands.budget import standings
    from gateway_contracts.price_book import format_usd

    rows = standings(query, path, None).rows
    money = ("limit_usd", "spent_usd", "projected_usd")
    return [
        row | {name: None if row[name] is None else format_usd(row[name]) for name in money} for row in rows
    ]
