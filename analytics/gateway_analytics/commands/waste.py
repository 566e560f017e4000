"""Money that bought nothing."""

import click

from gateway_analytics.grouping import columns
from gateway_analytics.options import Query, query_options
from gateway_analytics.report import Column, Report, check_order

_COLUMNS = (
    Column("spent_on"),
    Column("attempts", "int"),
    Column("input_tokens", "int"),
    Column("output_tokens", "int"),
    Column("cost_usd", "usd", missing="unpriced"),
    Column("percent", "number"),
    Column("unpriced_requests", "int"),
)
# Each attempt is one of these, the first that fits.
_SPENT_ON = """CASE
    WHEN list_contains(getvariable('probe_users'), end_user) THEN 'probes'
    WHEN NOT final THEN 'failed attempts'
    WHEN http_status = 499 OR error_class = 'client_disconnect' THEN 'callers who left'
    WHEN coalesce(http_status, 599) >= 400 THEN 'failed calls'
    WHEN finish_reason IN ('length', 'max_tokens') THEN 'truncated answers'
    ELSE 'answers' END"""
_ANSWERS = "answers"


@click.command(epilog="Example: gateway-analytics waste --last 30d --store /srv/store")
@query_options
@click.option(
    "--probe-user",
    metavar="USER",
    multiple=True,
    help="Calls of this user are probes, such as health checks; may be repeated.",
)
def command(query: Query, probe_user: tuple[str, ...]) -> None:
    """Money on callers who left, failed attempts, failed calls, truncated answers and probes.

    The last line is what was spent on answers; all lines together are the whole cost.
    """
    from gateway_analytics.calls import ask
    from gateway_analytics.costing import costs, dollars, exact_sum, load_book
    from gateway_analytics.output import write
    from gateway_analytics.records import Records
    from gateway_analytics.sql_text import set_list

    book = load_book(query.prices, query.as_of)
    by = query.by
    shown = (*columns(by), *_COLUMNS)
    check_order(query.sort, shown)

    def answer(records: Records) -> Report:
        set_list(records.connection, "probe_users", probe_user)
        priced = costs(records, book, by, extra={"spent_on": _SPENT_ON})
        total = priced.total.cost_usd
        rows = []
        for key, cost in priced.groups.items():
            share = float(cost.cost_usd / total * 100) if cost.cost_usd and total else None
            rows.append(
                dict(zip((*by, "spent_on"), key, strict=True))
                | cost.as_row()
                | {"attempts": cost.attempts, "percent": None if share is None else round(share, 3)}
            )
        rows.sort(key=lambda row: (row["spent_on"] == _ANSWERS, -(row["cost_usd"] or 0), row["spent_on"]))
        spent = [row["cost_usd"] for row in rows if row["spent_on"] != _ANSWERS and row["cost_usd"]]
        wasted = None if total is None else exact_sum(spent)
        if wasted is not None and total:
            records.notes.append(f"{dollars(wasted)} of {dollars(total)} did not go to answers.")
        totals = {
            **priced.total.as_row(),
            "attempts": priced.total.attempts,
            "wasted_usd": wasted,
        }
        report = Report(
            "waste",
            records.range,
            shown,
            [{column.name: row[column.name] for column in shown} for row in rows],
            {
                name: totals[name]
                for name in (*(c.name for c in _COLUMNS[1:] if c.name in totals), "wasted_usd")
            },
            records.warnings + priced.warnings,
            records.notes + ([priced.sentence] if priced.sentence else []),
        )
        report.arrange([query.sort] if query.sort else list(by), query.limit)
        return report

    write(ask(query, answer), query.form, query.output)
