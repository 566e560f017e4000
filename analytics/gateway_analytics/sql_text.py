"""The SQL files of this package, their blanks filled in, and lists for them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_DIRECTORY = Path(__file__).parent / "sql"


def sql(name: str, **parts: str | int) -> str:
    """The text of a query with its `{blanks}` replaced.

    Parts are SQL written in this package; what users and records say goes in as parameters and variables.
    """
    text = (_DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
    for blank, part in parts.items():
        text = text.replace("{" + blank + "}", str(part))
    return text


def set_list(
    connection: "duckdb.DuckDBPyConnection", variable: str, values: Iterable[str], of: str = "VARCHAR"
) -> None:
    """Set a variable to a list of this type.

    The values go as one text: for each single one, DuckDB would look for pandas on the whole search path.
    """
    connection.execute(
        f"SET VARIABLE {variable} = CAST(CAST($values AS JSON) AS {of}[])",
        {"values": json.dumps(list(values))},
    )
