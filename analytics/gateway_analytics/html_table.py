"""A report as a page: one table that needs nothing from anywhere."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from gateway_analytics.report import Column, Report

# The policy lets in this style and nothing else, so that a name in a record can never become more than text.
_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.4 system-ui,sans-serif;margin:16px}"
    "table{border-collapse:collapse}"
    "th,td{padding:4px 12px 4px 0;text-align:left;border-bottom:1px solid #8884}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tfoot{font-weight:600}"
    "div{overflow-x:auto}p,li{color:#888}"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>gateway-analytics {command}</title>
<style>{style}</style>
</head>
<body>
<h1>{command}</h1>
<p>{range}</p>
<div><table>
<thead>{head}</thead>
<tbody>
{body}
</tbody>
{foot}</table></div>
{warnings}</body>
</html>
"""


def html_page(
    report: Report,
    columns: Sequence[Column],
    shown: Callable[[Any, Column], str],
    totals: Sequence[str] | None,
) -> str:
    """The page; `shown` makes a value what people read, and `totals` are the cells of the last row."""
    span = report.range
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in report.warnings)
    parts = {
        "command": escape(report.command),
        "style": _STYLE,
        "range": escape(f"{span.since or 'the beginning'} to {span.until or 'now'}, {span.tz}"),
        "head": _row("th", columns, [column.name.replace("_", " ") for column in columns]),
        "body": "\n".join(
            _row("td", columns, [shown(row.get(column.name), column) for column in columns])
            for row in report.rows
        ),
        "foot": f"<tfoot>{_row('td', columns, totals)}</tfoot>\n" if totals else "",
        "warnings": f"<ul>{warnings}</ul>\n" if warnings else "",
    }
    return _PAGE.format(**parts)


def _row(tag: str, columns: Sequence[Column], cells: Sequence[str]) -> str:
    def cell(column: Column, text: str) -> str:
        number = "" if column.kind in ("text", "time", "bool") else ' class="n"'
        return f"<{tag}{number}>{escape(text)}</{tag}>"

    return f"<tr>{''.join(cell(column, text) for column, text in zip(columns, cells, strict=True))}</tr>"
