"""Calls of tools and answers in JSON: the smallest value that a JSON Schema describes."""

from typing import Any

_DEEPEST = 12


def example(schema: Any, text: str = "", depth: int = 0) -> Any:
    """Return a value that fits `schema`; strings in it are `text`.

    It covers what tool definitions and structured outputs use: types, properties, required, items, enum,
    const, default, anyOf, minimum and minItems. References are not followed: they give an empty object.
    """
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    if "const" in schema:
        return schema["const"]
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return example(schema[choice][0], text, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    match kind:
        case "string":
            return text
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return schema.get("minimum", 1.0)
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return [example(schema.get("items"), text, depth + 1)] * max(int(schema.get("minItems", 1)), 1)
        case _:
            properties = schema.get("properties") or {}
            return {name: example(value, text, depth + 1) for name, value in properties.items()}


def chosen(offered: list[tuple[str, Any]], name: str | None) -> tuple[str, Any] | None:
    """Return the tool called `name`, or the first where `name` is empty; None where there is no such tool."""
    if name is None:
        return None
    return next((tool for tool in offered if name in ("", tool[0])), None)
