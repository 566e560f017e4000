"""Checks: what holds, what does not, and what cannot be told."""

from typing import Any

import pytest

from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.checks import judge

ANSWER = ChatOutcome(
    stream=False,
    http_status=200,
    output="Artificial Intelligence\nis a field.",
    finish_reason="stop",
    usage=TokenUsage(input_tokens=10, output_tokens=20),
    duration_ms=150.0,
)
NOTHING = ChatOutcome(stream=False)


def passed(checks: dict[str, Any], outcome: ChatOutcome = ANSWER) -> bool | None:
    (result,) = judge(checks, outcome)
    assert result.detail
    assert "\n" not in result.detail
    return result.passed


HOLDS: list[tuple[str, Any]] = [
    ("contains", "Intelligence"),
    ("icontains", "INTELLIGENCE"),
    ("contains_any", ["nothing", "field"]),
    ("contains_all", ["Artificial", "field"]),
    ("equals", "  Artificial Intelligence\nis a field. "),
    ("regex", r"^Art\w+ Int"),
    ("finish_reason", "stop"),
    ("finish_reason", ["length", "stop"]),
    ("status", 200),
    ("status", [200, 201]),
    ("max_latency_ms", 150),
    ("min_output_tokens", 20),
    ("max_output_tokens", 20),
    ("usage_present", True),
]
DOES_NOT: list[tuple[str, Any]] = [
    ("contains", "intelligence"),
    ("icontains", "stupidity"),
    ("contains_any", ["nothing", "none"]),
    ("contains_all", ["Artificial", "nothing"]),
    ("equals", "Artificial Intelligence"),
    ("regex", r"^field"),
    ("finish_reason", "length"),
    ("status", 500),
    ("max_latency_ms", 149.9),
    ("min_output_tokens", 21),
    ("max_output_tokens", 19),
    ("usage_present", False),
]


@pytest.mark.parametrize(("name", "expected"), HOLDS)
def test_holds(name: str, expected: Any) -> None:
    assert passed({name: expected}) is True


@pytest.mark.parametrize(("name", "expected"), DOES_NOT)
def test_does_not_hold(name: str, expected: Any) -> None:
    assert passed({name: expected}) is False


NEGATABLE = (
    "contains",
    "icontains",
    "contains_any",
    "contains_all",
    "equals",
    "regex",
    "finish_reason",
    "status",
)


@pytest.mark.parametrize(("name", "expected"), [check for check in HOLDS if check[0] in NEGATABLE])
def test_negation_of_what_holds_fails(name: str, expected: Any) -> None:
    assert passed({f"not_{name}": expected}) is False


@pytest.mark.parametrize(("name", "expected"), [check for check in DOES_NOT if check[0] in NEGATABLE])
def test_negation_of_what_does_not_hold_passes(name: str, expected: Any) -> None:
    assert passed({f"not_{name}": expected}) is True


@pytest.mark.parametrize(("name", "expected"), [check for check in HOLDS if check[0] != "usage_present"])
@pytest.mark.parametrize("prefix", ["", "not_"])
def test_missing_input_is_neither_passed_nor_failed(prefix: str, name: str, expected: Any) -> None:
    """Otherwise `not_contains` would pass for an answer that never came."""
    if prefix and name not in NEGATABLE:
        return
    assert passed({f"{prefix}{name}": expected}, NOTHING) is None


def test_usage_that_states_only_one_side_is_not_present() -> None:
    half = ChatOutcome(stream=False, usage=TokenUsage(input_tokens=10))
    assert passed({"usage_present": True}, half) is False
