"""Checks: what holds, what does not, and what cannot be told."""

from decimal import Decimal
from typing import Any

import pytest

from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.checks import _CHECKS, judge

ANSWER = ChatOutcome(
    stream=False,
    http_status=200,
    headers={"content-type": "application/json; charset=utf-8", "x-request-id": "abc"},
    output="Artificial Intelligence\nis a field.",
    finish_reason="stop",
    usage=TokenUsage(input_tokens=10, output_tokens=20),
    duration_ms=150.0,
    time_to_first_token_ms=42.5,
)
COST = Decimal("0.00123")
NOTHING = ChatOutcome(stream=False)
SCHEMA = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"$ref": "#/$defs/small"}},
    "$defs": {"small": {"type": "integer", "maximum": 5}},
}


def passed(checks: dict[str, Any], outcome: ChatOutcome = ANSWER, cost: Decimal | None = COST) -> bool | None:
    (result,) = judge(checks, outcome, cost)
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
    ("starts_with", "Artificial"),
    ("starts_with", " Artificial Intelligence\nis"),
    ("length", 35),
    ("length", {"min": 35}),
    ("latency_ms", 150),
    ("latency_ms", {"min": 150, "max": 150}),
    ("ttft_ms", 42.5),
    ("cost_usd", 0.00123),
    ("cost_usd", {"max": 0.01}),
    ("tokens", {"output": 20}),
    ("tokens", {"input": {"min": 10}, "output": {"max": 20}, "total": {"min": 30, "max": 30}}),
    ("usage_present", True),
    ("header", {"X-Request-ID": True}),
    ("header", {"content-type": "Application/JSON", "x-cache": False}),
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
    ("starts_with", "Intelligence"),
    ("is_json", True),
    ("length", 34),
    ("length", {"min": 36}),
    ("latency_ms", 149.9),
    ("ttft_ms", {"min": 43}),
    ("cost_usd", 0.00122),
    ("tokens", {"output": 19}),
    ("tokens", {"input": 10, "total": {"min": 31}}),
    ("usage_present", False),
    ("header", {"x-cache": True}),
    ("header", {"x-cache": "hit"}),
    ("header", {"x-request-id": False}),
    ("header", {"content-type": "text/html"}),
]


@pytest.mark.parametrize(("name", "expected"), HOLDS)
def test_holds(name: str, expected: Any) -> None:
    assert passed({name: expected}) is True


@pytest.mark.parametrize(("name", "expected"), DOES_NOT)
def test_does_not_hold(name: str, expected: Any) -> None:
    assert passed({name: expected}) is False


@pytest.mark.parametrize(("name", "expected"), HOLDS)
def test_negation_of_what_holds_fails(name: str, expected: Any) -> None:
    assert passed({f"not_{name}": expected}) is False


@pytest.mark.parametrize(("name", "expected"), DOES_NOT)
def test_negation_of_what_does_not_hold_passes(name: str, expected: Any) -> None:
    assert passed({f"not_{name}": expected}) is True


@pytest.mark.parametrize(("name", "expected"), HOLDS + DOES_NOT)
@pytest.mark.parametrize("prefix", ["", "not_"])
def test_missing_input_is_neither_passed_nor_failed(prefix: str, name: str, expected: Any) -> None:
    """Otherwise `not_contains` would pass for an answer that never came."""
    assert passed({f"{prefix}{name}": expected}, NOTHING, None) is None


def test_every_check_was_tried() -> None:
    assert {name for name, _ in HOLDS + DOES_NOT} == set(_CHECKS)


def says(text: str) -> ChatOutcome:
    return ChatOutcome(stream=False, http_status=200, output=text)


@pytest.mark.parametrize(
    ("text", "expected", "holds"),
    [
        ('{"n": 3}', True, True),
        ("[1, 2]", True, True),
        ('"text"', True, True),
        ("```json\n{}\n```", True, False),
        ('{"n": 3', True, False),
        ("[" * 100_000, True, False),
        ('{"n": 3}', SCHEMA, True),
        ('{"n": 6}', SCHEMA, False),
        ('{"m": 3}', SCHEMA, False),
        ("no JSON", SCHEMA, False),
    ],
)
def test_is_json(text: str, expected: Any, holds: bool) -> None:
    assert passed({"is_json": expected}, says(text)) is holds
    assert passed({"not_is_json": expected}, says(text)) is not holds


def test_why_json_does_not_fit_is_said() -> None:
    (result,) = judge({"is_json": SCHEMA}, says('{"n": 6}'))
    assert "$.n: 6 is greater than the maximum of 5" in result.detail


def test_schema_that_refers_to_nothing_is_no_verdict() -> None:
    assert passed({"is_json": {"$ref": "#/$defs/none"}}, says("{}")) is None


def test_bounds_are_compared_as_written() -> None:
    """In binary fractions 0.1 + 0.2 is more than 0.3."""
    assert passed({"cost_usd": 0.3}, ANSWER, Decimal("0.1") + Decimal("0.2")) is True


def test_time_to_first_token_of_a_whole_answer_is_no_verdict() -> None:
    (result,) = judge({"ttft_ms": 100}, says("x"))
    assert result.passed is None
    assert "not streamed" in result.detail


def test_usage_that_states_only_one_side_is_not_present() -> None:
    half = ChatOutcome(stream=False, http_status=200, usage=TokenUsage(input_tokens=10))
    assert passed({"usage_present": True}, half) is False
