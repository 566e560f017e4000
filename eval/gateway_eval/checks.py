"""Checks: what a case expects of an answer, judged one by one."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from gateway_eval.chat import ChatOutcome
from gateway_eval.failure import one_line

# A schema's references are looked up nowhere: `jsonschema` would fetch those that are addresses.
_NO_REGISTRY: Registry[Any] = Registry()


class MissingInput(Exception):  # noqa: N818 - no error of the program: the answer lacks something
    """The answer does not have what a check needs; the message says what."""


@dataclass(frozen=True)
class CheckResult:
    """What came of a check: `passed` is None where it could not be judged."""

    name: str
    passed: bool | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return the result as the results file has it."""
        return {"name": self.name, "passed": self.passed, "detail": self.detail}


@dataclass(frozen=True)
class Answered:
    """What checks look at: how a call ended, and what it cost in US dollars (None is unknown)."""

    outcome: ChatOutcome
    cost: Decimal | None = None

    @property
    def text(self) -> str:
        """The answer's text."""
        if self.outcome.output is None:
            raise MissingInput("there is no answer text")
        return self.outcome.output

    def tokens(self, kind: str) -> int:
        """Return a count of tokens; `total` is input and output."""
        if kind == "total":
            return self.tokens("input") + self.tokens("output")
        count: int | None = getattr(self.outcome.usage, f"{kind}_tokens", None)
        if count is None:
            raise MissingInput(f"the answer states no {kind.replace('_', ' ')} tokens")
        return count


def judge(checks: dict[str, Any], outcome: ChatOutcome, cost: Decimal | None = None) -> list[CheckResult]:
    """Judge every check, in the order of the case."""
    answered = Answered(outcome, cost)
    return [_judge_one(name, expected, answered) for name, expected in checks.items()]


def _judge_one(name: str, expected: Any, answered: Answered) -> CheckResult:
    base = name.removeprefix("not_")
    negated = base != name
    try:
        holds, found = _CHECKS[base](expected, answered)
    except MissingInput as missing:
        return CheckResult(name, None, f"cannot be judged: {missing}")
    passed = holds is not negated
    verb = "found" if passed else "but found"
    return CheckResult(name, passed, f"expected {_expectation(base, expected)}, {verb} {found}")


def problems(checks: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with checks that the schema of case files lets through."""
    for name, expected in checks.items():
        base = name.removeprefix("not_")
        if base == "regex":
            try:
                re.compile(expected)
            except re.error as error:
                yield f"checks.{name}: not a regular expression: {error}"
        elif base == "is_json" and isinstance(expected, dict):
            yield from (f"checks.{name}: {problem}" for problem in _schema_problems(expected))
        elif any(bound["min"] > bound["max"] for bound in _whole_bounds(expected)):
            yield f"checks.{name}: min is more than max, so nothing could pass"


def _schema_problems(schema: dict[str, Any]) -> Iterator[str]:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        yield f"not a JSON Schema: {one_line(error.message, 120)}"
    if any(not reference.startswith("#") for reference in _references(schema)):
        yield "its references have to stay within it: begin them with #"


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _whole_bounds(expected: Any) -> Iterator[dict[str, float]]:
    if isinstance(expected, dict):
        if isinstance(expected.get("min"), int | float) and isinstance(expected.get("max"), int | float):
            yield expected
        for value in expected.values():
            yield from _whole_bounds(value)


def _expectation(base: str, expected: Any) -> str:
    """Return what was expected in one short line; a text as it is, in quotes."""
    if base in _BOUNDED and not isinstance(expected, dict):
        return f"at most {expected}"
    if base == "is_json":
        return "JSON" if expected is True else "JSON that fits the schema"
    return _short(expected)


def _short(value: Any) -> str:
    return f'"{one_line(value, 118)}"' if isinstance(value, str) else one_line(str(value), 120)


def _contains(expected: str, answered: Answered) -> tuple[bool, str]:
    return expected in answered.text, _short(answered.text)


def _icontains(expected: str, answered: Answered) -> tuple[bool, str]:
    return expected.casefold() in answered.text.casefold(), _short(answered.text)


def _contains_any(expected: list[str], answered: Answered) -> tuple[bool, str]:
    return any(text in answered.text for text in expected), _short(answered.text)


def _contains_all(expected: list[str], answered: Answered) -> tuple[bool, str]:
    return all(text in answered.text for text in expected), _short(answered.text)


def _equals(expected: str, answered: Answered) -> tuple[bool, str]:
    return answered.text.strip() == expected.strip(), _short(answered.text)


def _regex(expected: str, answered: Answered) -> tuple[bool, str]:
    return re.search(expected, answered.text) is not None, _short(answered.text)


def _starts_with(expected: str, answered: Answered) -> tuple[bool, str]:
    return answered.text.lstrip().startswith(expected.lstrip()), _short(answered.text)


def _is_json(expected: bool | dict[str, Any], answered: Answered) -> tuple[bool, str]:
    try:
        value = json.loads(answered.text)
    except (ValueError, RecursionError):
        return False, _short(answered.text)
    if isinstance(expected, bool):
        return True, _short(answered.text)
    try:
        error = jsonschema.exceptions.best_match(
            jsonschema.Draft202012Validator(expected, registry=_NO_REGISTRY).iter_errors(value)
        )
    except Unresolvable as unresolvable:
        raise MissingInput(f"the schema has no {one_line(str(unresolvable), 100)}") from unresolvable
    if error is None:
        return True, _short(answered.text)
    return False, one_line(f"{error.json_path}: {error.message}", 200)


def _length(expected: Any, answered: Answered) -> tuple[bool, str]:
    return _within(len(answered.text), expected), str(len(answered.text))


def _finish_reason(expected: str | list[str], answered: Answered) -> tuple[bool, str]:
    found = answered.outcome.finish_reason
    if found is None:
        raise MissingInput("the answer states no finish reason")
    return found in _list(expected), _short(found)


def _latency_ms(expected: Any, answered: Answered) -> tuple[bool, str]:
    found = answered.outcome.duration_ms
    if found is None:
        raise MissingInput("no answer came")
    return _within(found, expected), f"{found:g}"


def _ttft_ms(expected: Any, answered: Answered) -> tuple[bool, str]:
    found = answered.outcome.time_to_first_token_ms
    if found is None:
        why = "no token came" if answered.outcome.stream else "the answer is not streamed"
        raise MissingInput(why)
    return _within(found, expected), f"{found:g}"


def _cost_usd(expected: Any, answered: Answered) -> tuple[bool, str]:
    if answered.cost is None:
        raise MissingInput("the call has no price")
    return _within(answered.cost, expected), format(answered.cost, "f")


def _tokens(expected: dict[str, Any], answered: Answered) -> tuple[bool, str]:
    found = {kind: answered.tokens(kind) for kind in expected}
    return all(_within(found[kind], bound) for kind, bound in expected.items()), _short(found)


def _usage_present(expected: bool, answered: Answered) -> tuple[bool, str]:
    if answered.outcome.http_status is None:
        raise MissingInput("no answer came, so there is no usage")
    usage = answered.outcome.usage
    present = usage is not None and usage.input_tokens is not None and usage.output_tokens is not None
    return present is expected, str(present)


def _status(expected: int | list[int], answered: Answered) -> tuple[bool, str]:
    found = answered.outcome.http_status
    if found is None:
        raise MissingInput("no answer came, so there is no status")
    return found in _list(expected), str(found)


def _header(expected: dict[str, Any], answered: Answered) -> tuple[bool, str]:
    if answered.outcome.http_status is None:
        raise MissingInput("no answer came, so there are no headers")
    found = {name: answered.outcome.headers.get(name.lower()) for name in expected}
    return all(_header_fits(found[name], wanted) for name, wanted in expected.items()), _short(found)


def _header_fits(found: str | None, wanted: bool | str) -> bool:
    if isinstance(wanted, bool):
        return (found is not None) is wanted
    return found is not None and wanted.casefold() in found.casefold()


def _within(found: float | Decimal, bound: Any) -> bool:
    """Tell whether a value is within a bound: the most allowed, or an object with `min` and `max`.

    Compared as written: 0.1 in a case file is 0.1, not the nearest binary fraction.
    """
    limits = bound if isinstance(bound, dict) else {"max": bound}
    value = Decimal(str(found))
    return Decimal(str(limits.get("min", value))) <= value <= Decimal(str(limits.get("max", value)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_BOUNDED = ("length", "latency_ms", "ttft_ms", "cost_usd")

_CHECKS: dict[str, Callable[[Any, Answered], tuple[bool, str]]] = {
    "equals": _equals,
    "contains": _contains,
    "icontains": _icontains,
    "contains_any": _contains_any,
    "contains_all": _contains_all,
    "regex": _regex,
    "starts_with": _starts_with,
    "is_json": _is_json,
    "length": _length,
    "finish_reason": _finish_reason,
    "latency_ms": _latency_ms,
    "ttft_ms": _ttft_ms,
    "cost_usd": _cost_usd,
    "tokens": _tokens,
    "usage_present": _usage_present,
    "status": _status,
    "header": _header,
}
