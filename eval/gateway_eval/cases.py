"""Case files and suites: read, checked against the published schema, and brought into one form."""

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA_VERSION = 1
_MAX_FILE_BYTES = 32 * 1024 * 1024


class CasesError(ValueError):
    """A case file that cannot be used; the message names the place and the remedy."""


@dataclass(frozen=True)
class Call:
    """One call of a case: the messages to add before it, and what is expected of it.

    `expect_error` names the error classes of which one has to happen; empty where the call has to work.
    """

    messages: tuple[dict[str, Any], ...]
    stream: bool
    checks: dict[str, Any] = field(default_factory=dict)
    expect_error: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A health check, or a conversation with at least one call; `endpoint` is None for the run's."""

    name: str
    calls: tuple[Call, ...]
    endpoint: str | None = None
    health: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)


def suite_names() -> list[str]:
    """Return the names of the suites that ship with the program."""
    return sorted(
        entry.name.removesuffix(".json")
        for entry in _shipped("suites").iterdir()
        if entry.name.endswith(".json")
    )


def load_suite(name: str) -> list[Case]:
    """Return the cases of a shipped suite. Raises CasesError for a name that is none."""
    if name not in suite_names():
        raise CasesError(f"no suite {name!r}; there is: {', '.join(suite_names())}")
    return parse_cases(_shipped("suites").joinpath(f"{name}.json").read_text("utf-8"), name)


def load_cases(path: Path) -> list[Case]:
    """Return the cases of a file. Raises CasesError for one that is unreadable, no JSON or not valid."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise CasesError(f"{path}: larger than {_MAX_FILE_BYTES // 1024**2} MiB; split it")
        text = path.read_text("utf-8")
    except OSError as error:
        raise CasesError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CasesError(f"{path}: not UTF-8 text (byte {error.start})") from error
    return parse_cases(text, str(path))


def parse_cases(text: str, source: str) -> list[Case]:
    """Return the cases in JSON text; `source` names it in messages. Raises CasesError."""
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_no_duplicates)
    except json.JSONDecodeError as error:
        raise CasesError(f"{source}: line {error.lineno}, column {error.colno}: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise CasesError(f"{source}: {error}") from error
    if isinstance(document, list):  # the plain form
        document = {"schema_version": SCHEMA_VERSION, "cases": document}
    if not isinstance(document, dict):
        raise CasesError(f'{source}: has to be an object with "cases", or a list of cases')
    for problem in _problems(document):
        raise CasesError(f"{source}: {problem}")
    return [_case(entry, document.get("defaults") or {}) for entry in document["cases"]]


def case_schema() -> dict[str, Any]:
    """Return the JSON Schema of case files, as published in the package."""
    schema: dict[str, Any] = json.loads(_shipped("schemas").joinpath("cases.schema.json").read_text("utf-8"))
    return schema


def _shipped(folder: str) -> Any:
    return resources.files("gateway_eval").joinpath(folder)


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**case_schema(), "anyOf": [{"$ref": "#/$defs/file"}]})


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in pairs:
        if key in entries:
            raise ValueError(
                f"the key {key!r} is given twice in one object; the first would be lost: remove one"
            )
        entries[key] = value
    return entries


def _problems(document: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a document, what the schema says first."""
    if "schema_version" in document and document["schema_version"] != SCHEMA_VERSION:
        yield f"schema_version is {document['schema_version']!r}; this program reads {SCHEMA_VERSION}"
    errors = [leaf for error in _validator().iter_errors(document) for leaf in _leaves(error)]
    for error in sorted(errors, key=lambda error: [str(part).zfill(9) for part in error.absolute_path]):
        yield _explain(error)
    seen: set[str] = set()
    for index, entry in enumerate(document["cases"]):
        where = f"cases[{index}] ({entry['name']})"
        if entry["name"] in seen:
            yield f"{where}: another case has this name; results could not be told apart"
        seen.add(entry["name"])
        yield from (f"{where}: {problem}" for problem in _case_problems(entry))


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
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    prefix = f"{where.lstrip('.')}: " if where else ""
    found: Any = error.instance
    rule: Any = error.validator_value
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema["properties"])  # type: ignore[index]  # this rule stands in an object
        unknown = next(key for key in found if key not in allowed)
        return f"{prefix}unknown key {unknown!r}; {_nearest(unknown, allowed)}"
    if error.validator == "required":
        return f"{prefix}{next(key for key in rule if key not in found)!r} is missing"
    if error.validator == "enum":
        return f"{prefix}{_short(found)} is not known; {_nearest(str(found), rule)}"
    if error.validator == "anyOf":
        unknown_names = [leaf for leaf in error.context or () if leaf.validator == "enum"]
        if unknown_names:
            return _explain(unknown_names[0])
        return f"{prefix}{_short(found)} is neither one value nor a list of values of the right kind"
    if error.validator == "not":  # of the names of parameters
        return f"{prefix}{found!r} is made from the case itself, so it is no parameter; remove it"
    return f"{prefix}{error.message if len(error.message) < 200 else error.message[:199] + '…'}"


def _nearest(wrong: str, right: list[str]) -> str:
    near = difflib.get_close_matches(wrong, right, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(right)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else text[:59] + "…"


def _case_problems(entry: dict[str, Any]) -> Iterator[str]:
    """Yield what a schema cannot say, or could only say in words that help nobody."""
    kinds = [key for key in ("health", "messages", "turns") if key in entry]
    if len(kinds) != 1:
        yield "needs one of 'messages', 'turns' and 'health'" + (
            f", not {' and '.join(kinds)}" if kinds else ""
        )
        return
    if kinds == ["health"]:
        extra = sorted(set(entry) - {"name", "description", "health"})
        if extra:
            yield f"a health check calls no model and so takes no {extra[0]!r}"
        return
    turns = entry.get("turns", [])
    if turns and not any("user" in turn for turn in turns):
        yield "none of the turns has 'user', so nothing would be asked"
    for index, turn in enumerate(turns):
        says = [key for key in ("user", "system", "assistant") if key in turn]
        if len(says) != 1:
            yield f"turns[{index}]: needs one of 'user', 'system' and 'assistant'"
        elif says != ["user"] and set(turn) - set(says):
            extra = min(set(turn) - set(says))
            yield f"turns[{index}]: only a 'user' turn makes a call, so only it takes {extra!r}"
    for checks in (entry.get("checks"), *(turn.get("checks") for turn in turns)):
        yield from _bad_patterns(checks or {})


def _bad_patterns(checks: dict[str, Any]) -> Iterator[str]:
    for name in ("regex", "not_regex"):
        if name in checks:
            try:
                re.compile(checks[name])
            except re.error as error:
                yield f"checks.{name}: not a regular expression: {error}"


def _case(entry: dict[str, Any], defaults: dict[str, Any]) -> Case:
    stream = entry.get("stream", defaults.get("stream", False))
    checks = {**defaults.get("checks", {}), **entry.get("checks", {})}
    expected = _listed(entry.get("expect_error"))
    calls: list[Call] = []
    if "messages" in entry:
        calls = [Call(tuple(entry["messages"]), stream, checks, expected)]
    elif "turns" in entry:
        calls = list(_conversation(entry["turns"], stream, checks, expected))
    return Case(
        name=entry["name"],
        calls=tuple(calls),
        endpoint=entry.get("endpoint", defaults.get("endpoint")),
        health="health" in entry,
        parameters={**defaults.get("parameters", {}), **entry.get("parameters", {})},
    )


def _conversation(
    turns: list[dict[str, Any]], stream: bool, checks: dict[str, Any], expected: tuple[str, ...]
) -> Iterator[Call]:
    """Yield the calls of a conversation; the case's checks hold for each, its expected error for the last."""
    last = max(index for index, turn in enumerate(turns) if "user" in turn)
    said: list[dict[str, Any]] = []
    for index, turn in enumerate(turns):
        role = next(key for key in ("user", "system", "assistant") if key in turn)
        said.append({"role": role, "content": turn[role]})
        if role == "user":
            turn_expects = _listed(turn.get("expect_error")) or (expected if index == last else ())
            yield Call(
                tuple(said), turn.get("stream", stream), {**checks, **turn.get("checks", {})}, turn_expects
            )
            said = []


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)
