"""What callers send never acts on a terminal, a spreadsheet or a page."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_analytics.text import csv_cell, markdown_cell, shortened, visible


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\0", "a\\nb\\tc\\x00"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x9b1m", "\\x9b1m"),
        ("Grüße 東京 🎉", "Grüße 東京 🎉"),
    ],
)
def test_characters_that_act_are_shown_as_escapes(sent: str, shown: str) -> None:
    assert visible(sent) == shown


@given(st.text(st.characters()))
def test_no_control_character_survives(text: str) -> None:
    assert not {unicodedata.category(char) for char in visible(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    visible(text).encode()


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(1)"])
def test_a_spreadsheet_sees_text_and_no_formula(formula: str) -> None:
    assert csv_cell(formula) == "'" + formula


def test_a_markdown_cell_holds_what_is_in_it() -> None:
    assert markdown_cell("a|b <script> [x](y) `c` *d*") == r"a\|b &lt;script&gt; \[x\](y) \`c\` \*d\*"


def test_long_text_is_cut_for_people() -> None:
    assert shortened("x" * 4096) == "x" * 59 + "…"
