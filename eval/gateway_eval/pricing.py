"""What the calls of a run cost, and whether the run may go on."""

import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gateway_contracts.price_book import NEVER_BILLED, PriceBook, Usage
from gateway_eval.chat import ChatOutcome, TokenUsage
from gateway_eval.failure import CallError, Failure, FailureClass
from gateway_eval.target import Endpoint


class Pricing:
    """Prices calls by a price book; what the provider itself states goes first."""

    def __init__(self, book_path: Path | None = None) -> None:
        """Read the book at a path, or the shipped one. Raises gateway_contracts' PriceBookError."""
        self._book = PriceBook.load(book_path)

    def cost(
        self, endpoint: Endpoint, outcome: ChatOutcome, started_at: datetime
    ) -> tuple[Decimal | None, str | None]:
        """Return cost in USD and its source, `computed` or `provider`; None twice where there is no price."""
        usage = outcome.usage
        if usage is None and outcome.provider_cost_usd is None:
            return None, None
        counted = usage or TokenUsage()
        rating = self._book.rate(
            endpoint.provider,
            outcome.response_model,
            endpoint.model,
            started_at.astimezone(UTC).date(),
            Usage(
                input_tokens=counted.input_tokens,
                cached_input_tokens=counted.cached_input_tokens,
                cache_write_tokens=counted.cache_write_tokens,
                output_tokens=counted.output_tokens,
                reasoning_tokens=counted.reasoning_tokens,
                input_audio_tokens=counted.input_audio_tokens,
                output_audio_tokens=counted.output_audio_tokens,
            ),
            service_tier=outcome.service_tier,
            provider_cost_usd=outcome.provider_cost_usd,
        )
        if rating.cost is None:
            return None, None
        return rating.cost, "provider" if rating.stated else "computed"


def may_be_billed(outcome: ChatOutcome) -> bool:
    """Tell whether a call may cost something, by the rule that gateway-analytics applies to records."""
    failure = outcome.failure
    if failure is None or (outcome.http_status is not None and outcome.http_status < 400):
        return True
    if failure.failure_class is FailureClass.GATEWAY:
        return False
    if failure.failure_class is FailureClass.NETWORK and outcome.http_status is None:
        return False
    return failure.failure_class.value not in NEVER_BILLED


class Budget:
    """What has been spent, in USD, and how much may be. Calls under way at once each may go beyond."""

    def __init__(self, limit: Decimal | None = None) -> None:
        self.limit = limit
        self.spent = Decimal(0)
        self._unpriced: str | None = None
        self._lock = threading.Lock()

    @property
    def exceeded(self) -> bool:
        """Whether more was spent than allowed, by the calls that were under way at the end."""
        return self.limit is not None and self.spent > self.limit

    def note(self, endpoint: Endpoint, outcome: ChatOutcome, cost: Decimal | None) -> None:
        """Add a call to what has been spent."""
        if cost is not None:
            with self._lock:
                self.spent += cost
        elif may_be_billed(outcome):
            self._unpriced = outcome.response_model or endpoint.model or endpoint.name

    def require(self) -> None:
        """Raise `CallError` if no further call may be made."""
        if self.limit is None:
            return
        if self._unpriced is not None:
            message = f"a call to {self._unpriced} could not be priced, so --max-cost cannot be watched"
            advice = (
                "Add its price with --prices, name the provider with --provider, or leave out --max-cost."
            )
            raise CallError(Failure.of(FailureClass.BUDGET, message, advice=advice))
        if self.spent >= self.limit:
            raise CallError(
                Failure.of(
                    FailureClass.BUDGET, f"${self.spent} is spent of the ${self.limit} that --max-cost allows"
                )
            )
