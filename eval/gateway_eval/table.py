"""Tables for people."""

import io
from collections.abc import Sequence


def known(count: int | None) -> str:
    """Return a count in words: what is unknown is not 0."""
    return "unknown" if count is None else str(count)


def render(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[object]]) -> str:
    """Return rows under headings, as wide as they need to be; a column is (heading, `left` or `right`).

    Unknown (None) shows as a dash. Text is shown as it is: nothing in it is taken for markup.
    """
    from rich.box import SIMPLE_HEAD  # slow to import, and --help does not need it
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading, side in columns:
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text("-" if cell is None else str(cell)) for cell in row))
    output = io.StringIO()
    Console(file=output, width=10_000, color_system=None, force_terminal=False).print(table)
    return "".join(line.rstrip() + "\n" for line in output.getvalue().splitlines())
