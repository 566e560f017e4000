"""What `gateway-eval ask` says after an answer, to the byte."""

from dataclasses import replace
from pathlib import Path

from gateway_eval.chat import TokenUsage
from gateway_eval.commands.ask import took
from gateway_eval.failure import Failure, FailureClass
from support.evaluation_run import turn
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")


def test_what_a_call_took() -> None:
    whole, streamed, unpriced = turn("0.00002865"), turn("0.00002865"), turn(None)
    failed = turn(None, Failure.of(FailureClass.QUOTA, "no money", http_status=429))
    usage = TokenUsage(input_tokens=2000, cached_input_tokens=1024, output_tokens=97, reasoning_tokens=64)
    streamed.outcome = replace(streamed.outcome, stream=True, time_to_first_token_ms=210.4, usage=usage)
    half = turn(None)
    half.outcome = replace(half.outcome, usage=TokenUsage(input_tokens=11))
    lines = [took(call) for call in (whole, streamed, unpriced, half, failed)]
    assert_golden(GOLDEN / "ask.txt", "\n".join(lines) + "\n")
