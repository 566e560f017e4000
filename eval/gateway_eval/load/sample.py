"""One call of a load, while it is under way and after."""

from gateway_eval.failure import Failure


class Sample:
    """What is known of one call. Times are seconds of the monotonic clock, 0 where it did not come to that.

    `due` is when it should have been sent, `sent` when it was. `first` and `last` are the first and the last
    chunk of a stream that carried output, reasoning included. Tokens are the provider's count; None: unknown.
    """

    __slots__ = (
        "due", "ended", "failure", "first", "gaps", "input_tokens", "last",
        "output_tokens", "sent", "unseen_tokens", "waited",
    )  # fmt: skip

    def __init__(self, due: float) -> None:
        self.due = due
        self.sent = 0.0
        self.first = 0.0
        self.last = 0.0
        self.ended = 0.0
        self.gaps: list[float] = []
        """Seconds between successive chunks with output."""
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
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
        if self.output_tokens is None or not self.first:
            return None
        following = self.output_tokens - self.unseen_tokens - 1
        return (self.last - self.first) / following if following > 0 else None
