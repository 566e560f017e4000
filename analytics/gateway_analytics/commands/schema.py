"""What a record holds."""

from pathlib import Path

import click

from gateway_analytics.options import chosen_format, output_options
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange
from gateway_contracts.record_field import field

_COLUMNS = (
    Column("record"),
    Column("field"),
    Column("type"),
    Column("nullable", "bool"),
    Column("meaning", longest=200),
)

# What the view `costs` adds.
_COSTS = (
    field("owner", "text?", "who owned the key on that day, with --owners"),
    field("team", "text?", "the owner's team"),
    field("cost_usd", "text?", "DECIMAL(38, 18), exact; null where the call is unpriced"),
    field("evidence", "text?", "provider_stated, computed, partial (a cut stream) or unbilled"),
    field("unpriced", "text?", "why the call has no cost; null where it has one"),
)


@click.command(epilog="Example: gateway-analytics schema --format markdown")
@click.argument("record", type=click.Choice(("requests", "access", "costs")), default="requests")
@output_options
def command(record: str, form: str | None, o: Path | None) -> None:
    """The fields of a record, and the columns of `query`: requests (the default), access, costs.

    Queries have the columns owner and team in requests and costs, too.
    """
    from gateway_analytics.output import write
    from gateway_contracts import access_record, request_record

    fields = {
        "requests": request_record.FIELDS,
        "access": access_record.FIELDS,
        "costs": (*request_record.FIELDS, *_COSTS),
    }[record]
    rows = [
        {
            "record": record,
            "field": f.name,
            "type": f.type,
            "nullable": f.nullable,
            "meaning": f.doc.replace("`", ""),
        }
        for f in fields
    ]
    write(Report("schema", TimeRange("UTC"), _COLUMNS, rows), chosen_format(form, o), o)
