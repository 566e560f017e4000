"""What a run would cost: the estimate, and what it looks like, to the byte."""

import io
import json
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path

import pytest

from gateway_eval.cases import load_suite, parse_cases
from gateway_eval.dry_run import show_estimate
from gateway_eval.estimate import NOTHING, estimate
from gateway_eval.output import Output
from gateway_eval.pricing import Pricing
from gateway_eval.results import HostRecord
from gateway_eval.secrets import Secrets
from gateway_eval.target import Api, Endpoint, Target
from support.evaluation_run import CHAT, URL, round_prices
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def pricing(tmp_path: Path) -> Pricing:
    return round_prices(tmp_path)


def of(pricing: Pricing, endpoint: Endpoint | None = CHAT, **case: object) -> tuple[object, ...]:
    found = estimate(parse_cases(json.dumps([{"name": "a", **case}]), "x")[0], endpoint, pricing)
    return found.calls, found.input_tokens, found.cost_at_least, found.cost_at_most


def test_bounded_call(pricing: Pricing) -> None:
    """400 characters are about 100 tokens, and a message costs 4; in millionths of a dollar."""
    least, most = Decimal("0.000104"), Decimal("0.000604")
    assert of(pricing, input="x" * 400, parameters={"max_tokens": 50}) == (1, 104, least, most)


def test_conversation_counts_what_was_said_before(pricing: Pricing) -> None:
    turns = [{"user": "x" * 400}, {"user": "x" * 400}]
    calls, tokens, _, _ = of(pricing, turns=turns, parameters={"max_tokens": 50})
    assert (calls, tokens) == (2, 104 + (104 + 50 + 104))


def test_output_without_a_limit_has_no_bound(pricing: Pricing) -> None:
    assert of(pricing, input="Hi")[3] is None


def test_model_without_a_price_is_not_free(pricing: Pricing) -> None:
    unknown = Endpoint("chat", "chat", "nobody", "mystery")
    assert of(pricing, unknown, input="Hi", parameters={"max_tokens": 5})[2:] == (None, None)


@pytest.mark.parametrize(
    "case", [{"health": True}, {"request": {"path": "/v1/models"}}, {"input": "x", "expect_error": "quota"}]
)
def test_what_no_provider_bills_costs_nothing(pricing: Pricing, case: dict[str, object]) -> None:
    assert of(pricing, **case)[2:] == (NOTHING.cost_at_least, NOTHING.cost_at_most)


@pytest.mark.parametrize("suite", ["smoke", "full", "streaming", "errors", "compatibility"])
def test_every_shipped_suite_costs_less_than_a_cent(pricing: Pricing, suite: str) -> None:
    costs = [estimate(case, CHAT, pricing).cost_at_least for case in load_suite(suite)]
    assert all(cost is not None for cost in costs)
    assert sum(cost for cost in costs if cost is not None) < Decimal("0.01")


def test_screen(pricing: Pricing) -> None:
    cases = [*load_suite("smoke"), *parse_cases(json.dumps(LIMITED), "x")]
    target = Target(URL, Api.MLFLOW, (CHAT,))
    screen = io.StringIO()
    with redirect_stdout(screen):
        record = HostRecord(URL, endpoint=CHAT)
        show_estimate(Output(Secrets()), "table", [record], [target], cases, 3, pricing, None)
    assert_golden(GOLDEN / "dry_run.txt", screen.getvalue())


LIMITED = [{"name": "limited", "input": "What is AI?", "parameters": {"max_tokens": 100}}]
