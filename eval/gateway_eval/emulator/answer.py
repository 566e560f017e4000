"""One answer of the emulated model: its words, why it ended, and what it is billed at."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from gateway_eval.emulator import models, replies, tokens
from gateway_eval.emulator.directives import Directives

# What a model that thinks spends on thinking; providers bill it in blocks of 64.
_THINKING_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, in the sense of the request record: totals include their parts."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says. `finish` is stop, length, content_filter or stop_sequence."""

    pieces: tuple[str, ...]
    """The visible output, token by token."""
    finish: str
    usage: Usage
    stop_sequence: str | None = None

    @property
    def text(self) -> str:
        """The visible output."""
        return "".join(self.pieces)


def compose(
    said: Sequence[str],
    *,
    model: str,
    input_tokens: int,
    limit: int | None,
    stops: Sequence[str],
    directives: Directives,
    prefix: str = "",
) -> Answer:
    """Return the answer to a conversation.

    said: the caller's messages without directives, oldest first. input_tokens: the conversation as billed.
    limit: the most output tokens, reasoning included. prefix: text that the answer begins with.
    """
    finish = "stop"
    stop_sequence = None
    if directives.tokens is not None:
        pieces = filler(directives.tokens)
    else:
        text = prefix + replies.reply(said)
        for stop in stops:
            head, found, _ = text.partition(stop)
            if found:
                text, stop_sequence, finish = head, stop, "stop_sequence"
        pieces = tuple(tokens.split(text))
    if "content_filter" in directives.shapes:
        pieces, finish = pieces[: len(pieces) // 2], "content_filter"
    reasoning = directives.reasoning
    if reasoning is None:
        reasoning = _THINKING_BLOCK * (1 + min(input_tokens // 500, 7)) if models.reasons(model) else 0
    if limit is not None and reasoning + len(pieces) > limit:
        reasoning = min(reasoning, limit)
        pieces, finish, stop_sequence = pieces[: limit - reasoning], "length", None
    usage = Usage(
        input_tokens=input_tokens + directives.cached + directives.cache_write,
        output_tokens=len(pieces) + reasoning,
        cached_input_tokens=directives.cached,
        cache_write_tokens=directives.cache_write,
        reasoning_tokens=reasoning,
    )
    return Answer(pieces, finish, usage, stop_sequence)


def filler(length: int) -> tuple[str, ...]:
    """Return text of exactly `length` tokens."""
    pieces = list(itertools.islice(itertools.cycle(tokens.split(replies.FILLER)), length))
    if pieces:
        pieces[0] = pieces[0].lstrip()
    return tuple(pieces)
