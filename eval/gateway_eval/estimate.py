"""What a run would cost, told before anything is spent.

Tokens are estimated at four characters each, the rule of thumb for English, and output is bounded only where
a case sets `max_tokens`. So the estimate has a least, which counts no output at all, and a most.
https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gateway_eval.cases import Call, Case
from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.pricing import Pricing
from gateway_eval.results import money
from gateway_eval.target import Endpoint

_CHARACTERS_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4
_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True)
class Estimate:
    """Calls, tokens and US dollars; None is what cannot be told."""

    calls: int
    input_tokens: int
    output_tokens_at_most: int | None
    cost_at_least: Decimal | None
    cost_at_most: Decimal | None

    def __add__(self, other: "Estimate") -> "Estimate":
        """Return both together."""
        return Estimate(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            _sum(self.output_tokens_at_most, other.output_tokens_at_most),
            _sum(self.cost_at_least, other.cost_at_least),
            _sum(self.cost_at_most, other.cost_at_most),
        )

    def scaled(self, calls: int) -> "Estimate":
        """Return the estimate of so many calls like these."""
        output = self.output_tokens_at_most
        return Estimate(
            calls,
            round(Fraction(self.input_tokens * calls, self.calls)),
            None if output is None else round(Fraction(output * calls, self.calls)),
            None if self.cost_at_least is None else self.cost_at_least * calls / self.calls,
            None if self.cost_at_most is None else self.cost_at_most * calls / self.calls,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the estimate as JSON output has it."""
        return {
            "requests": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens_at_most": self.output_tokens_at_most,
            "cost_usd_at_least": money(self.cost_at_least),
            "cost_usd_at_most": money(self.cost_at_most),
        }

    def words(self) -> str:
        """Return the estimate in one line."""
        calls = f"{self.calls} {'call' if self.calls == 1 else 'calls'}, about {self.input_tokens} tokens in"
        if self.cost_at_least is None:
            return f"{calls}; the cost cannot be told, as a model has no price"
        least = f"${money(_rounded(self.cost_at_least))}"
        if self.cost_at_most is None:
            return f"{calls}; at least {least}, and the output, which no max_tokens bounds"
        return f"{calls}; {least} to ${money(_rounded(self.cost_at_most))}"


NOTHING = Estimate(0, 0, 0, Decimal(0), Decimal(0))


def estimate(case: Case, endpoint: Endpoint | None, pricing: Pricing) -> Estimate:
    """Return what a case would cost once, without attempts after the first."""
    total, said = NOTHING, 0
    limit = output_limit(case.parameters)
    for call in case.calls:
        if call.request is not None and call.request.method != "POST":
            continue
        if call.expect_error:  # what a provider refuses it does not bill
            total += Estimate(1, 0, 0, Decimal(0), Decimal(0))
            continue
        said += _tokens(call)
        total += _priced(said, _limit(call, limit), endpoint or Endpoint(""), pricing)
        said += limit or 0
    return total


def estimate_call(
    messages: Sequence[dict[str, Any]], limit: int | None, endpoint: Endpoint, pricing: Pricing
) -> Estimate:
    """Return what one call would cost that may answer with at most `limit` tokens."""
    return _priced(_message_tokens(messages), limit, endpoint, pricing)


def output_limit(parameters: Mapping[str, Any]) -> int | None:
    """Return how many tokens an answer to a call with these fields may have; None is any number."""
    return next((parameters[name] for name in _LIMITS if isinstance(parameters.get(name), int)), None)


def _limit(call: Call, limit: int | None) -> int | None:
    body = call.request.body if call.request else None
    own = output_limit(body) if isinstance(body, dict) else None
    return limit if own is None else own


def _tokens(call: Call) -> int:
    """Return the tokens that a call adds to its conversation."""
    if call.request is not None:
        text = call.request.text or json.dumps(call.request.body, ensure_ascii=False)
        return -(-len(text) // _CHARACTERS_A_TOKEN)
    return _message_tokens(call.messages)


def _message_tokens(messages: Sequence[dict[str, Any]]) -> int:
    return sum(
        _TOKENS_A_MESSAGE + -(-len(_text(message.get("content"))) // _CHARACTERS_A_TOKEN)
        for message in messages
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _priced(tokens: int, limit: int | None, endpoint: Endpoint, pricing: Pricing) -> Estimate:
    least = _cost(tokens, 0, endpoint, pricing)
    most = None if limit is None else _cost(tokens, limit, endpoint, pricing)
    return Estimate(1, tokens, limit, least, most)


def _cost(tokens_in: int, tokens_out: int, endpoint: Endpoint, pricing: Pricing) -> Decimal | None:
    outcome = ChatOutcome(False, usage=TokenUsage(input_tokens=tokens_in, output_tokens=tokens_out))
    return pricing.cost(endpoint, outcome, datetime.now(UTC))[0]


def _rounded(amount: Decimal) -> Decimal:
    """Return an amount with two digits that tell something: an estimate has no more."""
    if not amount:
        return amount
    return round(amount, max(2, 1 - amount.adjusted()))


def _sum(left: Any, right: Any) -> Any:
    return None if left is None or right is None else left + right


def total(estimates: Sequence[Estimate]) -> Estimate:
    """Return all of them together."""
    return sum(estimates, start=NOTHING)
