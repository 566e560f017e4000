"""A table fits its window; numbers stay whole, and what is left out is said."""

import io
import re

import pytest

from gateway_analytics.report import Column
from gateway_analytics.terminal_table import write_table

COLUMNS = (
    Column("model"),
    Column("successful_requests", "int"),
    Column("input_tokens", "int"),
    Column("cached_input_tokens", "int"),
    Column("cost_usd", "usd"),
    Column("unpriced_requests", "int"),
)
ROWS = [
    [
        "a-model-with-a-name-that-is-long-enough-to-fold",
        "1,234,567",
        "99,573,558",
        "123,456",
        "462.109725",
        "12",
    ]
]


class Terminal(io.StringIO):
    """A window."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (140, []),
        (72, ["successful_requests"]),
        (60, ["successful_requests", "cached_input_tokens"]),
    ],
)
def test_a_table_fits_its_window(monkeypatch: pytest.MonkeyPatch, width: int, left_out: list[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    window = Terminal()
    assert write_table(window, COLUMNS, ROWS, ["total", *ROWS[0][1:]]) == left_out
    text = re.sub(r"\x1b\[[0-9;]*m", "", window.getvalue())
    assert max(len(line) for line in text.splitlines()) <= width
    assert "462.109725" in text
    assert ("1,234,567" in text) == ("successful_requests" not in left_out)


def test_off_a_terminal_nothing_is_left_out_or_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    file = io.StringIO()
    assert write_table(file, COLUMNS, ROWS, None) == []
    assert all(cell in file.getvalue() for cell in ROWS[0])
    assert "\x1b" not in file.getvalue()
