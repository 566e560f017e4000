"""Checks: what a case expects of an answer, judged one by one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway_eval.chat import ChatOutcome
from gateway_eval.failure import one_line


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


def judge(checks: dict[str, Any], outcome: ChatOutcome) -> list[CheckResult]:
    """Judge every check, in the order of the case."""
    return [_judge_one(name, expected, outcome) for name, expected in checks.items()]


def _judge_one(name: str, expected: Any, outcome: ChatOutcome) -> CheckResult:
    base = name.removeprefix("not_")
    negated = base != name
    try:
        holds, found = _CHECKS[base](expected, outcome)
    except MissingInput as missing:
        return CheckResult(name, None, f"cannot be judged: {missing}")
    passed = holds is not negated
    verb = "found" if passed else "but found"
    return CheckResult(name, passed, f"expected {_short(expected)}, {verb} {found}")


def _short(value: Any) -> str:
    """Return a value in one short line; a text as it is, in quotes."""
    return f'"{one_line(value, 118)}"' if isinstance(value, str) else one_line(str(value), 120)


def _output(outcome: ChatOutcome) -> str:
    if outcome.output is None:
        raise MissingInput("there is no answer text")
    return outcome.output


def _contains(expected: str, outcome: ChatOutcome) -> tuple[bool, str]:
    return expected in _output(outcome), _short(outcome.output)


def _icontains(expected: str, outcome: ChatOutcome) -> tuple[bool, str]:
    return expected.casefold() in _output(outcome).casefold(), _short(outcome.output)


def _contains_any(expected: list[str], outcome: ChatOutcome) -> tuple[bool, str]:
    return any(text in _output(outcome) for text in expected), _short(outcome.output)


def _contains_all(expected: list[str], outcome: ChatOutcome) -> tuple[bool, str]:
    return all(text in _output(outcome) for text in expected), _short(outcome.output)


def _equals(expected: str, outcome: ChatOutcome) -> tuple[bool, str]:
    return _output(outcome).strip() == expected.strip(), _short(outcome.output)


def _regex(expected: str, outcome: ChatOutcome) -> tuple[bool, str]:
    return re.search(expected, _output(outcome)) is not None, _short(outcome.output)


def _finish_reason(expected: str | list[str], outcome: ChatOutcome) -> tuple[bool, str]:
    if outcome.finish_reason is None:
        raise MissingInput("the answer states no finish reason")
    return outcome.finish_reason in _list(expected), _short(outcome.finish_reason)


def _status(expected: int | list[int], outcome: ChatOutcome) -> tuple[bool, str]:
    if outcome.http_status is None:
        raise MissingInput("no answer came, so there is no status")
    return outcome.http_status in _list(expected), str(outcome.http_status)


def _max_latency_ms(expected: float, outcome: ChatOutcome) -> tuple[bool, str]:
    if outcome.duration_ms is None:
        raise MissingInput("the call did not end")
    return outcome.duration_ms <= expected, f"{outcome.duration_ms:g}"


def _output_tokens(outcome: ChatOutcome) -> int:
    if outcome.usage is None or outcome.usage.output_tokens is None:
        raise MissingInput("the answer states no output tokens")
    return outcome.usage.output_tokens


def _min_output_tokens(expected: int, outcome: ChatOutcome) -> tuple[bool, str]:
    return _output_tokens(outcome) >= expected, str(outcome.usage.output_tokens if outcome.usage else None)


def _max_output_tokens(expected: int, outcome: ChatOutcome) -> tuple[bool, str]:
    return _output_tokens(outcome) <= expected, str(outcome.usage.output_tokens if outcome.usage else None)


def _usage_present(expected: bool, outcome: ChatOutcome) -> tuple[bool, str]:
    usage = outcome.usage
    present = usage is not None and usage.input_tokens is not None and usage.output_tokens is not None
    return present is expected, str(present)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_CHECKS: dict[str, Callable[[Any, ChatOutcome], tuple[bool, str]]] = {
    "contains": _contains,
    "icontains": _icontains,
    "contains_any": _contains_any,
    "contains_all": _contains_all,
    "equals": _equals,
    "regex": _regex,
    "finish_reason": _finish_reason,
    "status": _status,
    "max_latency_ms": _max_latency_ms,
    "min_output_tokens": _min_output_tokens,
    "max_output_tokens": _max_output_tokens,
    "usage_present": _usage_present,
}
