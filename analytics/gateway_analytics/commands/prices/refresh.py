"""New prices from MLflow's catalogue, added to a price book."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway_analytics.options import chosen_format, output_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange

_COLUMNS = (
    Column("change"),
    Column("provider"),
    Column("model"),
    Column("aliases"),
    Column("valid_from"),
    Column("input_before", "usd"),
    Column("input", "usd"),
    Column("output_before", "usd"),
    Column("output", "usd"),
)


@click.command(epilog="Example: gateway-analytics prices refresh --prices prices.yml --dry-run")
@click.option(
    "--prices",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The price book to add to; where there is none, it begins as a copy of the shipped one.",
)
@click.option(
    "--catalog",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Directory or mlflow wheel with the catalogue.  [default: the MLflow installed here]",
)
@click.option(
    "--provider",
    metavar="VALUE",
    multiple=True,
    help="Only this provider, by its name in the gateway's configuration; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be added, and change nothing.")
@output_options
def command(
    prices: Path,
    catalog: Path | None,
    provider: tuple[str, ...],
    dry_run: bool,
    form: str | None,
    o: Path | None,
) -> None:
    """Add the prices of MLflow's catalogue that the price book does not have.

    Entries are only ever added: history stays, so that the past keeps its prices, and so do your own entries
    (those without a source), of which only the difference is shown. A price that the catalogue changed is
    valid from the day on which it did.
    """
    from gateway_analytics.costing import load_book
    from gateway_analytics.output import write
    from gateway_analytics.price_catalog import USUAL_PROVIDERS, open_catalog
    from gateway_analytics.price_refresh import as_yaml, changes
    from gateway_contracts.price_book import SHIPPED

    source = open_catalog(catalog)
    start = prices if prices.exists() else SHIPPED
    book = load_book(start)
    today = datetime.now(UTC).date()
    listed = [price for name in provider or USUAL_PROVIDERS for price in source.prices(name)]
    found = list(changes(book, listed, today, source.version))
    added = [change.price for change in found if change.what != "own"]
    rows: list[dict[str, Any]] = [
        {
            "change": change.what,
            "provider": change.price.provider,
            "model": change.price.model,
            "aliases": list(change.price.aliases),
            "valid_from": change.price.valid_from.isoformat(),
            "input_before": change.before and change.before.rates.input,
            "input": change.price.rates.input,
            "output_before": change.before and change.before.rates.output,
            "output": change.price.rates.output,
        }
        for change in found
    ]
    wanted = added or not prices.exists()
    done = (
        "nothing was written (--dry-run)"
        if dry_run
        else f"{prices} is {'written' if wanted else 'as it was'}"
    )
    notes = [f"{source.version}: {len(added)} of {len(listed)} prices are new to the book; {done}."]
    if any(change.what == "own" for change in found):
        notes.append("prices of your own were left as they are; `own` shows where the catalogue differs.")
    if wanted and not dry_run:
        text = start.read_text(encoding="utf-8").rstrip("\n") + "\n"
        _replace(prices, text + "".join("\n" + as_yaml(price) for price in added))
    write(Report("prices refresh", TimeRange("UTC"), _COLUMNS, rows, notes=notes), chosen_format(form, o), o)


def _replace(path: Path, text: str) -> None:
    """Put a whole and valid book in the place of the old one, or leave that as it is."""
    from gateway_analytics.costing import load_book

    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            file.write(text)
        new = Path(file.name)
        try:
            load_book(new)
            new.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise UsageProblem(
            f"--prices: {path} cannot be written: {error.strerror}. Name another place."
        ) from None
