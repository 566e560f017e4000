"""Tables for people: numbers aligned and whole, fitted to the window on a terminal."""

from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from gateway_analytics.report import Column

if TYPE_CHECKING:
    from rich.table import Table

# What a window that is too narrow does without, first to go first.
_EXPENDABLE = (
    "successful_requests",
    "cost_per_request_usd",
    "cached_input_tokens",
    "first_used",
    "statuses",
    "last_used",
    "request_id",
    "instance",
    "host",
    "failed_attempts",
    "last_seen",
    "output_tokens",
    "input_tokens",
    "failed_requests",
    "examples",
)
_NARROWEST_TEXT = 18  # what is left of a text where everything else had to stay whole
_GAP = "   "


def write_table(
    file: IO[str], columns: Sequence[Column], rows: Sequence[Sequence[str]], totals: Sequence[str] | None
) -> list[str]:
    """Write rows of cells under their columns; return the columns that the window has no room for."""
    if not file.isatty():
        file.writelines(line + "\n" for line in _lines(columns, rows, totals))
        return []
    from rich.console import Console

    console = Console(file=file, highlight=False, markup=False, emoji=False)
    kept = list(range(len(columns)))
    left_out: list[str] = []
    for name in _EXPENDABLE:
        if _width(columns, rows, totals, kept) <= console.width:
            break
        found = [n for n in kept if columns[n].name == name]
        left_out += [columns[n].name for n in found]
        kept = [n for n in kept if n not in found]
    # Rich pads lines to the table's width; nobody needs the blanks at their ends.
    with console.capture() as capture:
        console.print(_table(columns, rows, totals, kept))
    lines = [line.rstrip() for line in capture.get().splitlines()]
    file.write("".join(line + "\n" for line in lines if line))
    return left_out


def _lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], totals: Sequence[str] | None
) -> Iterator[str]:
    """The same table off a terminal, where nothing is cut, folded or coloured: a hundred times as fast."""
    from rich.cells import cell_len

    names = [column.name.split("_") for column in columns]
    high = max(len(name) for name in names)
    head = [list(line) for line in zip(*([""] * (high - len(name)) + name for name in names), strict=True)]
    body = [*rows, *([totals] if totals else [])]
    widths = [max(cell_len(line[n]) for line in (*head, *body)) for n in range(len(columns))]
    left = [_is_text(column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for cell, width, is_left in zip(cells, widths, left, strict=True):
            blanks = " " * (width - cell_len(cell))
            padded.append(cell + blanks if is_left else blanks + cell)
        return f" {_GAP.join(padded)}".rstrip()

    rule = " " + "─" * (sum(widths) + len(_GAP) * (len(columns) - 1))
    yield from map(line, head)
    yield rule
    yield from map(line, rows)
    if totals:
        yield rule
        yield line(totals)


def _width(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    totals: Sequence[str] | None,
    kept: Sequence[int],
) -> int:
    """The least that these columns need: numbers whole, texts folded."""
    from rich.cells import cell_len

    needed = 0
    for n in kept:
        cells = [row[n] for row in rows] + ([totals[n]] if totals else [])
        widest = max((cell_len(cell) for cell in cells), default=0)
        if _is_text(columns[n]):
            widest = min(widest, _NARROWEST_TEXT)
        needed += len(_GAP) + max(widest, *(len(part) for part in columns[n].name.split("_")))
    return needed


def _is_text(column: Column) -> bool:
    return column.kind in ("text", "time", "bool")


def _table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    totals: Sequence[str] | None,
    kept: Sequence[int],
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_footer=totals is not None, pad_edge=False)
    for n in kept:
        table.add_column(
            Text(columns[n].name.replace("_", "\n")),  # narrow columns fit a terminal
            Text(totals[n] if totals else ""),
            justify="left" if _is_text(columns[n]) else "right",
            overflow="fold",
            no_wrap=not _is_text(columns[n]),
            header_style="bold",
            footer_style="bold",
        )
    for row in rows:
        table.add_row(*(Text(row[n]) for n in kept))
    return table
