"""Incoming records into Parquet."""

from pathlib import Path
from typing import Any

import click

from gateway_analytics.options import chosen_format, output_options
from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange

_COLUMNS = (
    Column("kind"),
    *(
        Column(name, "int")
        for name in ("records", "repeated", "quarantined", "files_removed", "parts_merged", "days_deleted")
    ),
    Column("parts_uploaded", "int"),
)
_DAYS = click.IntRange(min=1)


@click.command(epilog="Example: gateway-analytics compact --store /srv/store --keep-access-days 90")
@click.option(
    "--store",
    metavar="DIR",
    type=click.Path(path_type=Path),
    envvar="GATEWAY_ANALYTICS_STORE",
    required=True,
    help="The log store.  [env: GATEWAY_ANALYTICS_STORE]",
)
@click.option(
    "--settle",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=900,
    show_default=True,
    help="Remove an incoming file so long after its hour and its last change, where all of it is in Parquet.",
)
@click.option(
    "--keep-requests-days", metavar="DAYS", type=_DAYS, help="Delete older days of request records."
)
@click.option("--keep-access-days", metavar="DAYS", type=_DAYS, help="Delete older days of access records.")
@click.option(
    "--keep-quarantine-days", metavar="DAYS", type=_DAYS, help="Delete older days of the quarantine."
)
@click.option(
    "--upload",
    metavar="URL",
    envvar="GATEWAY_ANALYTICS_UPLOAD",
    help="Copy Parquet to s3://BUCKET/PREFIX afterwards.  [env: GATEWAY_ANALYTICS_UPLOAD]",
)
@output_options
def command(
    store: Path, settle: float, upload: str | None, form: str | None, o: Path | None, **keep: Any
) -> None:
    """Bring incoming records into Parquet, each once, and lines that are no record into quarantine.

    May be killed and run again at any time: queries are right all the while. Nothing is deleted for its age
    unless a --keep option says so; the last day that is kept is today, in UTC.
    """
    from gateway_analytics.bucket import Bucket
    from gateway_analytics.compact_run import run
    from gateway_analytics.output import write

    bucket = Bucket.of(upload) if upload else None
    if upload and bucket is None:
        raise UsageProblem(f"--upload: {upload} is no bucket. Give s3://BUCKET/PREFIX.")
    days = {name.removeprefix("keep_").removesuffix("_days"): value for name, value in keep.items() if value}
    rows = run(store, settle, days, bucket)
    totals = {column.name: sum(row[column.name] for row in rows) for column in _COLUMNS[1:]}
    write(Report("compact", TimeRange("UTC"), _COLUMNS, rows, totals), chosen_format(form, o), o)
