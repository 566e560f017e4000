"""What a load costs, call by call, and whether it may go on."""

import functools
from datetime import UTC, datetime
from decimal import Decimal

from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.failure import CallError
from gateway_eval.load.sample import Sample
from gateway_eval.pricing import Budget, Pricing, may_be_billed
from gateway_eval.target import Endpoint


class Spending:
    """Adds up the price of every call, those of ramp and warm-up included."""

    def __init__(self, pricing: Pricing, endpoint: Endpoint, budget: Budget) -> None:
        self.unpriced = 0
        """Calls that may have cost something that is not known."""
        self._pricing = pricing
        self._endpoint = endpoint
        self._budget = budget
        self._priced = 0
        # Few answers differ in their tokens, and pricing one takes longer than reading it.
        self._cost = functools.lru_cache(4096)(self._price)

    @property
    def usd(self) -> Decimal | None:
        """What was spent; None where not a single call could be priced."""
        return self._budget.spent if self._priced else None

    @property
    def limit(self) -> Decimal | None:
        """What may be spent."""
        return self._budget.limit

    def allows_more_after(self, sample: Sample) -> bool:
        """Count a call that has ended, and tell whether another may be made."""
        cost = self._cost(sample.response_model, sample.usage)
        status = sample.failure.http_status if sample.failure is not None else 200
        outcome = ChatOutcome(False, response_model=sample.response_model, http_status=status)
        outcome.failure = sample.failure
        self._budget.note(self._endpoint, outcome, cost)
        self._priced += cost is not None
        self.unpriced += cost is None and may_be_billed(outcome)
        try:
            self._budget.require()
        except CallError:
            return False
        return True

    def _price(self, response_model: str | None, usage: TokenUsage | None) -> Decimal | None:
        outcome = ChatOutcome(False, response_model=response_model, usage=usage)
        return self._pricing.cost(self._endpoint, outcome, datetime.now(UTC))[0]
