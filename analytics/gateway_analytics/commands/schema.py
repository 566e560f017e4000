"""What a record holds."""

from pathlib import Path

import click

from gateway_analytics.options import chosen_format, output_options
from gateway_analytics.report import Column, Report
from gateway_analytics.timerange import TimeRange

_COLUMNS = (Column("record"), Column("field"), Column("type"), Column("nullable", "bool"), Column("meaning"))


@click.command(epilog="Example: gateway-analytics schema --format markdown")
@click.argument("record", type=click.Choice(("requests", "access")), default="requests")
@output_options
def command(record: str, form: str | None, o: Path | None) -> None:
    """The fields of a record: of calls (requests, the default) or of the load balancer (access)."""
    from gateway_analytics.output import write
    from gateway_contracts import access_record, request_record

    fields = request_record.FIELDS if record == "requests" else access_record.FIELDS
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
