"""The options that every read command has, and what they come to."""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gateway_analytics.grouping import DIMENSIONS, OWNED
from gateway_analytics.problems import UsageProblem

FORMATS = ("table", "json", "jsonl", "csv", "markdown", "html")
SUFFIXES = {".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".md": "markdown", ".html": "html"}

Command = Callable[..., None]


@dataclass(frozen=True)
class Query:
    """What a read command was asked for; of `store` and `results` one is set where it needs calls."""

    store: Path | None
    results: Path | None
    prices: Path | None
    as_of: datetime | None
    owners: Path | None
    since: str | None
    until: str | None
    last: str | None
    tz: str
    by: Sequence[str]
    filters: Mapping[str, Sequence[str]]
    form: str
    output: Path | None
    limit: int | None
    sort: str | None


def _path(name: str, metavar: str, text: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, metavar=metavar, type=click.Path(path_type=Path), help=text, **more)


def _filter(name: str, text: str) -> Callable[[Command], Command]:
    return click.option(
        f"--{name.replace('_', '-')}", f"only_{name}", metavar="VALUE", multiple=True, help=text
    )


_FILTERS = {
    "model": "Only this model, as configured or as answered. Filters repeat; '' stands for none.",
    "provider": "Only this provider.",
    "endpoint": "Only this endpoint or route.",
    "api_key": "Only this key id.",
    "user": "Only this user.",
    "host": "Only this host.",
    "status": "Only this HTTP status, such as 429 or 4xx.",
}


def prices_option(command: Command) -> Command:
    """Add --prices."""
    return _path("--prices", "FILE", "Price book to use in place of the shipped one.")(command)


def as_of_option(command: Command) -> Command:
    """Add --as-of."""
    return click.option(
        "--as-of",
        metavar="DATE",
        type=click.DateTime(["%Y-%m-%d"]),
        help="Use only the prices that the book knew on that day (UTC).",
    )(command)


def output_options(command: Command) -> Command:
    """Add --format and -o."""
    command = _path("-o", "FILE", "Write to this file; its suffix chooses the format.", default=None)(command)
    return click.option(
        "--format", "form", type=click.Choice(FORMATS), help="How to write the answer.  [default: table]"
    )(command)


def chosen_format(form: str | None, output: Path | None) -> str:
    """The format asked for, else the one that the file's suffix says."""
    return form or SUFFIXES.get(output.suffix.lower() if output else "", "table")


def _check_place(output: Path) -> None:
    """Raise UsageProblem where a file cannot be written there: before a long question."""
    place = output.absolute().parent
    if str(output) != "-" and not os.access(place, os.W_OK | os.X_OK):
        raise UsageProblem(
            f"-o: {output} cannot be written: {place} is no directory that takes files. Name another place."
        )


def query_options(command: Command | None = None, *, store_required: bool = True) -> Callable[..., Any]:
    """Give a command the options of all read commands, as one `query`."""
    if command is None:
        return functools.partial(query_options, store_required=store_required)
    inner = command

    @functools.wraps(inner)
    def wrapped(**values: Any) -> None:
        store, results = values.pop("store"), values.pop("results")
        context = click.get_current_context()
        if results is not None:
            if context.get_parameter_source("store") is click.core.ParameterSource.COMMANDLINE:
                raise UsageProblem("--store and --results exclude each other. Use one of them.")
            store = None
        elif store is None and store_required:
            raise UsageProblem(
                "nothing to read. Give --store DIR, or set GATEWAY_ANALYTICS_STORE; or give --results FILE."
            )
        if values["owners"] is None and OWNED & set(values["by"]):
            raise UsageProblem("--by owner and --by team need --owners FILE, which says who owns which key.")
        output = values.pop("o")
        if output is not None:
            _check_place(output)
        query = Query(
            store=store,
            results=results,
            filters={name: values.pop(f"only_{name}") for name in _FILTERS},
            form=chosen_format(values.pop("form"), output),
            output=output,
            by=tuple(dict.fromkeys(values.pop("by"))),
            **{
                name: values.pop(name)
                for name in ("prices", "as_of", "owners", "since", "until", "last", "tz", "limit", "sort")
            },
        )
        inner(query=query, **values)

    options: tuple[Callable[[Command], Command], ...] = (
        _path(
            "--store",
            "DIR",
            "The log store.  [env: GATEWAY_ANALYTICS_STORE]",
            envvar="GATEWAY_ANALYTICS_STORE",
        ),
        _path("--results", "FILE", "Read the results file of a gateway-eval run in place of a store."),
        prices_option,
        as_of_option,
        _path(
            "--owners",
            "FILE",
            "Who owns which key, and since when.  [env: GATEWAY_ANALYTICS_OWNERS]",
            envvar="GATEWAY_ANALYTICS_OWNERS",
        ),
        click.option(
            "--since",
            metavar="WHEN",
            help="From this date or time on, such as 2026-11-01 or 2026-11-01T08:30.",
        ),
        click.option("--until", metavar="WHEN", help="Up to and including this date or time."),
        click.option(
            "--last",
            metavar="PERIOD",
            help="Only so long back from now: 90m, 12h, 7d or 4w; a day is 24 hours.",
        ),
        click.option(
            "--tz",
            metavar="ZONE",
            default="UTC",
            show_default=True,
            help="Time zone of days and times, such as Europe/Berlin.",
        ),
        click.option(
            "--by",
            multiple=True,
            type=click.Choice(tuple(DIMENSIONS)),
            help="One row for each value; repeat to combine.",
        ),
        *(_filter(name, text) for name, text in _FILTERS.items()),
        output_options,
        click.option(
            "--limit",
            metavar="ROWS",
            type=click.IntRange(min=1),
            help="Show so many rows; totals stay those of all.",
        ),
        click.option(
            "--sort",
            metavar="COLUMN[:asc|:desc]",
            help="Order by this column; numbers begin with the largest.",
        ),
    )
    result: Command = wrapped
    for option in reversed(options):
        result = option(result)
    return result
