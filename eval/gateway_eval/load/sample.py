"""One call of a load, while it is under way and after."""

from gateway_eval.chat import TokenUsage
from gateway_eval.failure import Failure


class Sample:
    """What is known of one call. Times are seconds of the monotonic clock, 0 where it did not come to that.

    `due` is when it should have been sent, `sent` when it was. `first` and `last` are the first and the last
    chunk of a stream that carried output, reasoning included. `usage` is the provider's count; None: unknown.
    """

    __slots__ = (
        "due", "ended", "failure", "first", "gaps", "last",
        "response_model", "sent", "unseen_tokens", "usage", "waited",
    )  # fmt: skip

    def __init__(self, due: float) -> None:
        self.due = due
        self.sent = 0.0
        self.first = 0.0
        self.last = 0.0
        self.ended = 0.0
        self.gaps: list[float] = []
        """Seconds between successive chunks with output."""
        self.usage: TokenUsage | None = None
        self.response_model: str | None = None
        self.unseen_tokens = 0
        """Reasoning tokens that were billed but not sent."""
        self.failure: Failure | None = None
        self.waited = False
        """Whether it had to wait for a connection, all being in use."""

    def output_at(self, now: float) -> None:
        """Note that a chunk with output arrived."""
        if self.first:
            self.gaps.append(now - self.last)
        else:
            self.first = now
        self.last = now

    @property
    def token_seconds(self) -> float | None:
        """Mean time of an output token after the first, by the provider's count; None where not known."""
        output_tokens = self.usage.output_tokens if self.usage else None
        if output_tokens is None or not self.first:
            return None
        following = output_tokens - self.unseen_tokens - 1
        return (self.last - self.first) / following if following > 0 else None
