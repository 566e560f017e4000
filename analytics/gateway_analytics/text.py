"""Text from records made safe to show: they hold what callers and providers chose to send."""

import re
import unicodedata

# Control characters move the cursor or colour a terminal; format characters reorder or hide text around them
# (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing); surrogates cannot be encoded.
_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_PLAIN = re.compile(r"[ -~]*")

# A spreadsheet takes a cell that starts with one of these for a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS = ("=", "+", "-", "@")

LONGEST_CELL = 60


def visible(text: str) -> str:
    """The text with every character that acts rather than shows written as an escape such as `\\x1b`."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSAFE else char
        for char in text
    )


def shortened(text: str, longest: int = LONGEST_CELL) -> str:
    """Visible text of at most so many characters, for a place that people read."""
    text = visible(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def csv_cell(text: str) -> str:
    """Visible text that no spreadsheet takes for a formula."""
    text = visible(text)
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def markdown_cell(text: str) -> str:
    """Visible, shortened text that stays inside its cell and is no link, no HTML and no emphasis."""
    text = shortened(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)
