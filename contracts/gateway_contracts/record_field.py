"""One field of a record, what may stand in it, and what makes a line no record."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

FieldType = Literal["int", "text", "bool", "number", "number or text"]

MAX_INT = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record: its name, type, whether it may be null, and what it means.

    `max_characters` bounds text; a longer value is cut and ends in an ellipsis.
    """

    name: str
    type: FieldType
    nullable: bool
    doc: str
    max_characters: int

    def accepts(self, value: Any) -> bool:
        """Say whether a decoded JSON value may stand in this field."""
        if value is None:
            return self.nullable
        if isinstance(value, bool):
            return self.type == "bool"
        match self.type:
            case "int":
                return isinstance(value, int) and 0 <= value <= MAX_INT
            case "number":
                return isinstance(value, int | float) and 0 <= value < math.inf
            case "text":
                return isinstance(value, str)
            case "number or text":
                return isinstance(value, str) or (isinstance(value, int | float) and 0 <= value < math.inf)
        return False


# A type as the record's tables write it; the question mark is for null.
TypeName = Literal["int", "text", "bool", "number", "int?", "text?", "number?", "number or text?"]
_TYPES: dict[str, FieldType] = {
    "int": "int",
    "text": "text",
    "bool": "bool",
    "number": "number",
    "number or text": "number or text",
}


def field(name: str, type_name: TypeName, doc: str, max_characters: int = 128) -> Field:
    """Make a field of a type such as `int` or `text?`."""
    return Field(name, _TYPES[type_name.rstrip("?")], type_name.endswith("?"), doc, max_characters)


def problem(record: Any, fields: Sequence[Field], schema_version: int) -> str | None:
    """Say what makes a decoded line no valid record of these fields and version; None where it is one."""
    if not isinstance(record, dict):
        return "not a JSON object"
    version = record.get("schema_version")
    if version != schema_version or isinstance(version, bool | float):
        return f"schema_version is {version!r}, not {schema_version}"
    for known in fields:
        if not known.accepts(record.get(known.name)):
            return f"{known.name} is missing or no {known.type}"
    return None
