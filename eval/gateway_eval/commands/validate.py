"""`gateway-eval validate`: tell whether case files can be used, and all that is wrong with them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.case_problems import case_schema
from gateway_eval.cases import CasesError, load_cases
from gateway_eval.envelope import envelope
from gateway_eval.options import format_options
from gateway_eval.output import Output
from gateway_eval.secrets import Secrets


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Write the JSON Schema of case files instead.")
@format_options
@click.pass_context
def validate(ctx: click.Context, files: tuple[Path, ...], schema: bool, output_format: str) -> None:
    """Tell whether case files can be used, with every problem in them. Asks no host.

    \b
    gateway-eval validate cases.yml more_cases.json
    gateway-eval validate --schema > cases.schema.json

    \b
    Exit codes: 0 all are valid, 2 one is not or cannot be read.
    """
    if schema == bool(files):
        raise click.UsageError("give case files, or --schema for what they have to look like")
    if schema:
        click.echo(json.dumps(case_schema(), indent=2, ensure_ascii=False))
        return
    output = Output(Secrets())
    since = datetime.now(UTC)
    rows = [_row(path) for path in files]
    if output_format == "json":
        totals = {"files": len(rows), "valid": sum(row["valid"] for row in rows)}
        output.document(envelope("validate", rows, totals, since=since, until=datetime.now(UTC)))
    else:
        for row in rows:
            if row["valid"]:
                output.text(f"{row['file']}: valid, {row['cases']} cases, {row['requests']} calls\n")
    for row in rows:
        for problem in row["problems"]:
            output.complain(f"{row['file']}: {problem}")
    ctx.exit(int(ExitCode.OK if all(row["valid"] for row in rows) else ExitCode.USAGE))


def _row(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"file": str(path), "valid": False, "cases": None, "requests": None, "problems": []}
    try:
        cases = load_cases(path)
    except CasesError as error:
        return row | {"problems": list(error.problems)}
    calls = sum(len(case.calls) for case in cases)
    return row | {"valid": True, "cases": len(cases), "requests": calls}
