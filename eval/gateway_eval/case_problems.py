"""What is wrong with a case file, in words: the place, the nearest right name, the remedy."""

import difflib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import jsonschema

from gateway_eval.checks import problems as check_problems

SCHEMA_VERSION = 1
_KINDS = ("messages", "input", "turns", "request", "health")


def case_schema() -> dict[str, Any]:
    """Return the JSON Schema of case files, as published in the package."""
    file = resources.files("gateway_eval").joinpath("schemas", "cases.schema.json")
    schema: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return schema


def case_problems(document: Any) -> list[str]:
    """Return what is wrong with a decoded case file in its long form; first what the schema says."""
    if not isinstance(document, dict):
        return ['has to be an object with "cases", or a list of cases']
    if "schema_version" in document and document["schema_version"] != SCHEMA_VERSION:
        return [f"schema_version is {document['schema_version']!r}; this program reads {SCHEMA_VERSION}"]
    errors = [leaf for error in _validator().iter_errors(document) for leaf in _leaves(error)]
    if errors:
        errors.sort(key=lambda error: [str(part).zfill(9) for part in error.absolute_path])
        return list(dict.fromkeys(_explain(error) for error in errors))
    return list(_relations(document))


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**case_schema(), "anyOf": [{"$ref": "#/$defs/file"}]})


def _leaves(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    """Yield the errors that say what is wrong, where the schema offers only one form."""
    rule: Any = error.validator_value
    if error.validator == "anyOf" and len(rule) == 1:
        for inner in error.context or ():
            yield from _leaves(inner)
    else:
        yield error


def _explain(error: jsonschema.ValidationError) -> str:
    """Return a schema error in words, with the nearest right name for a wrong one."""
    prefix = _place(error)
    found: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "additionalProperties" and isinstance(rule, bool):
        allowed = sorted(error.schema["properties"])  # type: ignore[index]  # this rule stands in an object
        unknown = next(key for key in found if key not in allowed)
        return f"{prefix}unknown key {unknown!r}; {_nearest(unknown, allowed)}"
    if error.validator == "required":
        return f"{prefix}{next(key for key in rule if key not in found)!r} is missing"
    if error.validator == "enum":
        return f"{prefix}{_short(found)} is not known; {_nearest(str(found), rule)}"
    if error.validator == "anyOf":
        return f"{prefix}{_explain_choice(error)}"
    if error.validator == "not":  # of the names of parameters
        return f"{prefix}{found!r} is made from the case itself, so it is no parameter; remove it"
    return f"{prefix}{error.message if len(error.message) < 200 else error.message[:199] + '…'}"


def _explain_choice(error: jsonschema.ValidationError) -> str:
    """Return why none of several forms fits, by the form that was meant where that can be told."""
    inner = list(error.context or ())
    telling = next((leaf for leaf in inner if leaf.validator in ("enum", "additionalProperties")), None)
    if telling is not None:
        return _explain(telling).removeprefix(_place(error))
    if any(leaf.validator == "type" and leaf.validator_value == "number" for leaf in inner):
        return f"{_short(error.instance)} is no bound: give the most allowed, or an object with min and max"
    if {"is_json", "not_is_json"} & set(error.absolute_path):
        return f"{_short(error.instance)} is neither true nor a JSON Schema"
    return f"{_short(error.instance)} is neither one value nor a list of values of the right kind"


def _place(error: jsonschema.ValidationError) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{where.lstrip('.')}: " if where else ""


def _nearest(wrong: str, right: list[str]) -> str:
    negated = wrong.startswith("not_")
    alike = [name for name in right if name.startswith("not_") == negated]
    near = difflib.get_close_matches(wrong, alike, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(right)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else text[:59] + "…"


def _relations(document: dict[str, Any]) -> Iterator[str]:
    """Yield what a schema cannot say, or could only say in words that help nobody."""
    defaults = document.get("defaults") or {}
    yield from (f"defaults: {problem}" for problem in check_problems(defaults.get("checks", {})))
    seen: set[str] = set()
    for index, entry in enumerate(document["cases"]):
        where = f"cases[{index}] ({entry['name']})"
        if entry["name"] in seen:
            yield f"{where}: another case has this name; results could not be told apart"
        seen.add(entry["name"])
        yield from (f"{where}: {problem}" for problem in _in_case(entry))


def _in_case(entry: dict[str, Any]) -> Iterator[str]:
    kinds = [key for key in _KINDS if key in entry]
    if len(kinds) != 1:
        found = f", not {' and '.join(kinds)}" if kinds else ""
        yield f"needs one of 'messages', 'input', 'turns', 'request' and 'health'{found}"
        return
    if kinds == ["health"]:
        extra = sorted(set(entry) - {"name", "description", "tags", "health"})
        if extra:
            yield f"a health check calls no model and so takes no {extra[0]!r}"
        return
    if kinds == ["request"]:
        yield from _in_request(entry)
    turns = entry.get("turns", [])
    if turns and not any("user" in turn and "assistant" not in turn for turn in turns):
        yield "none of the turns has 'user' alone, so nothing would be asked"
    for index, turn in enumerate(turns):
        yield from (f"turns[{index}]: {problem}" for problem in _in_turn(turn))
    yield from check_problems(entry.get("checks", {}))


def _in_turn(turn: dict[str, Any]) -> Iterator[str]:
    says = [key for key in ("user", "system", "assistant") if key in turn]
    if len(says) != 1 and says != ["user", "assistant"]:
        yield "needs one of 'user', 'system' and 'assistant', or 'user' with a scripted 'assistant'"
    elif says != ["user"] and set(turn) - set(says):
        extra = min(set(turn) - set(says))
        yield f"only a turn with 'user' alone makes a call, so only it takes {extra!r}"
    yield from check_problems(turn.get("checks", {}))


def _in_request(entry: dict[str, Any]) -> Iterator[str]:
    request = entry["request"]
    for key in ("parameters", "stream"):
        if key in entry:
            yield f"a request is sent as it is written and so takes no {key!r}"
    if "body" in request and "text" in request:
        yield "request: 'body' and 'text' are two contents; give one of them"
    if request.get("method") in ("GET", "HEAD") and ("body" in request or "text" in request):
        yield f"request: {request['method']} sends no content; remove it, or change the method"
