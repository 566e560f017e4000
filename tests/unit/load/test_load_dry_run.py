"""What a load would cost: the figures, and the screen to the byte."""

import io
import json
from contextlib import redirect_stdout
from decimal import Decimal
from pathlib import Path

import pytest

from gateway_eval.load import prompts
from gateway_eval.load.dry_run import show_estimate
from gateway_eval.load.plan import Plan
from gateway_eval.output import Output
from gateway_eval.secrets import Secrets
from gateway_eval.target import Api, Target
from support.evaluation_run import CHAT, URL, round_prices
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")


def shown(tmp_path: Path, plan: Plan, output_format: str = "table", **prompt: object) -> str:
    bodies = prompts.sized("100,200", {}) if prompt.get("sized") else prompts.question({})
    target, limit = Target(URL, Api.MLFLOW, (CHAT,)), prompt.get("limit")
    assert limit is None or isinstance(limit, int)
    screen = io.StringIO()
    with redirect_stdout(screen):
        pricing = round_prices(tmp_path)
        show_estimate(Output(Secrets()), output_format, plan, bodies, limit, target, CHAT, pricing)
    return screen.getvalue()


def test_screen(tmp_path: Path) -> None:
    screen = shown(tmp_path, Plan(rate=50, duration=60, warm_up=10), limit=100)
    assert_golden(GOLDEN / "dry_run.txt", screen)


def test_every_call_of_the_load_is_in_it(tmp_path: Path) -> None:
    """The question and its message are 7 tokens by the estimate: millionths of a dollar."""
    answer = json.loads(shown(tmp_path, Plan(concurrency=2, requests=5000), "json", limit=100))
    assert answer["totals"]["requests"] == 5000
    assert answer["totals"]["input_tokens"] == 35_000
    assert Decimal(answer["totals"]["cost_usd_at_least"]) == Decimal("0.035")
    assert Decimal(answer["totals"]["cost_usd_at_most"]) == Decimal("5.035")
    assert [row["of"] for row in answer["rows"]] == ["a thousand calls", "the load"]


def test_sizes_in_turn_are_both_in_it(tmp_path: Path) -> None:
    answer = json.loads(shown(tmp_path, Plan(rate=1, requests=4), "json", sized=True))
    one, two = (json.loads(body) for body, _ in zip(prompts.sized("100,200", {}), range(2), strict=False))
    told = sum(4 + -(-len(body["messages"][0]["content"]) // 4) for body in (one, two))
    assert answer["totals"]["input_tokens"] == 2 * told


@pytest.mark.parametrize("plan", [Plan(concurrency=4, duration=60)])
def test_a_load_that_the_host_decides_has_a_price_for_a_thousand(tmp_path: Path, plan: Plan) -> None:
    screen = shown(tmp_path, plan)
    assert "a thousand calls" in screen
    assert "depends on how fast the host answers" in screen
    assert json.loads(shown(tmp_path, plan, "json"))["totals"] == {}
