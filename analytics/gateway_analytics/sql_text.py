"""The SQL files of this package, and their blanks filled in."""

from pathlib import Path

_DIRECTORY = Path(__file__).parent / "sql"


def sql(name: str, **parts: str | int) -> str:
    """The text of a query with its `{blanks}` replaced.

    Parts are SQL written in this package; what users and records say goes in as parameters and variables.
    """
    text = (_DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
    for blank, part in parts.items():
        text = text.replace("{" + blank + "}", str(part))
    return text
