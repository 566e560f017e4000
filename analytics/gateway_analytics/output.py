"""Reports written as a table, JSON, JSON lines, CSV or Markdown."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import click

from gateway_analytics.problems import UsageProblem
from gateway_analytics.report import Column, Report
from gateway_analytics.text import csv_cell, markdown_cell, shortened, visible
from gateway_contracts.price_book import format_usd

SCHEMA_VERSION = 1
_SMALLEST_SHOWN = Decimal("0.000001")


def write(report: Report, form: str, output: Path | None) -> None:
    """Write the report to a file or standard output, and what to know about it to standard error."""
    tell(report)
    _write(lambda file: FORMATS[form](report, file), output)


def write_text(text: str, output: Path | None) -> None:
    """Write a text that is whole in itself, as `write` does."""
    _write(lambda file: file.write(text), output)


def tell(report: Report) -> None:
    """Write what to know about the report to standard error."""
    nothing = [] if report.rows or report.notes else ["nothing fits the range and the filters."]
    for line in (*nothing, *report.notes, *(f"warning: {warning}" for warning in report.warnings)):
        click.echo(visible(line), err=True)


def _write(writer: Callable[[IO[str]], object], output: Path | None) -> None:
    if output is None or str(output) == "-":
        try:
            writer(sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:
            # Who read it has seen enough; Python must not find the pipe broken once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    # Beside its place and then into it: what was there stays whole if this fails.
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=output.parent, prefix=f".{output.name}.", delete=False
        ) as file:
            try:
                writer(file)
                file.flush()
                Path(file.name).chmod(0o666 & ~_umask())
                Path(file.name).replace(output)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise UsageProblem(f"-o: {output} cannot be written: {error.strerror}. Name another place.") from None


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _json(report: Report, file: IO[str]) -> None:
    envelope = {
        "schema_version": SCHEMA_VERSION,
        "command": report.command,
        "range": report.range.as_json(),
        "rows": [_plain(row, report.columns) for row in report.rows],
        "totals": {name: _value(value) for name, value in report.totals.items()},
        "warnings": report.warnings,
    }
    json.dump(envelope, file, indent=2)
    file.write("\n")


def _jsonl(report: Report, file: IO[str]) -> None:
    for row in report.rows:
        json.dump(_plain(row, report.columns), file)
        file.write("\n")


def _csv(report: Report, file: IO[str]) -> None:
    import csv

    # Plain line feeds: standard output may translate them, and RFC 4180 readers take both.
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(column.name for column in report.columns)
    for row in report.rows:
        writer.writerow(_csv_value(row[column.name]) for column in report.columns)


def _markdown(report: Report, file: IO[str]) -> None:
    report = replace(report, columns=_shown_columns(report))

    def line(cells: Iterable[str]) -> None:
        file.write(f"| {' | '.join(cells)} |\n")

    line(column.name for column in report.columns)
    line("---" if column.kind in ("text", "time") else "---:" for column in report.columns)
    for row in report.rows:
        line(markdown_cell(_shown(row.get(column.name), column)) for column in report.columns)
    if report.total_row and report.totals:
        line(f"**{markdown_cell(cell)}**" if cell else "" for cell in _total_cells(report))


def _table(report: Report, file: IO[str]) -> None:
    from gateway_analytics.terminal_table import write_table

    report = replace(report, columns=_shown_columns(report))
    cells = [
        [shortened(_shown(row.get(column.name), column), column.longest) for column in report.columns]
        for row in report.rows
    ]
    totals = _total_cells(report) if report.total_row and report.totals else None
    left_out = write_table(file, report.columns, cells, totals)
    if left_out:
        names = ", ".join(left_out)
        click.echo(
            f"left out, to fit the window: {names}. A wider window or --format csv has them.", err=True
        )


def _html(report: Report, file: IO[str]) -> None:
    from gateway_analytics.html_table import html_page

    report = replace(
        report,
        columns=_shown_columns(report),
        warnings=[visible(warning) for warning in report.warnings],
    )
    totals = [visible(cell) for cell in _total_cells(report)] if report.total_row and report.totals else None
    file.write(
        html_page(report, report.columns, lambda value, column: visible(_shown(value, column)), totals)
    )


def _shown_columns(report: Report) -> list[Column]:
    return [column for column in report.columns if column.name not in report.hidden]


FORMATS: Mapping[str, Callable[[Report, IO[str]], None]] = {
    "table": _table,
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "markdown": _markdown,
    "html": _html,
}


def _plain(row: Mapping[str, Any], columns: Iterable[Column]) -> dict[str, Any]:
    return {column.name: _value(row[column.name]) for column in columns}


def _value(value: Any) -> Any:
    return format_usd(value) if isinstance(value, Decimal) else value


def _csv_value(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return csv_cell(value)
        case list():
            return csv_cell(" ".join(value))
        case _:
            return str(_value(value))


def _shown(value: Any, column: Column) -> str:
    """A value for people: grouped digits, money to the millionth of a dollar."""
    match value:
        case None:
            return column.missing
        case bool():
            return "yes" if value else "no"
        case Decimal():
            if value and abs(value) < _SMALLEST_SHOWN:
                return f"<{_SMALLEST_SHOWN}" if value > 0 else f">-{_SMALLEST_SHOWN}"
            return f"{value:,.6f}"
        case float():
            return f"{value:,.1f}"
        case int() if column.kind == "int":
            return f"{value:,}"
        case list():
            return " ".join(value)
        case _:
            return str(value)


def _total_cells(report: Report) -> list[str]:
    cells = [
        _shown(report.totals[column.name], column) if column.name in report.totals else ""
        for column in report.columns
    ]
    if cells and not cells[0]:
        cells[0] = "total"
    return cells
