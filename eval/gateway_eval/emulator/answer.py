"""One answer of the emulated model: its words, why it ended, and what it is billed at."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gateway_eval.emulator import models, replies, tokens
from gateway_eval.emulator.directives import Directives

Finish = Literal["stop", "length", "content_filter", "stop_sequence", "tool"]

# A model that thinks is billed for it in blocks of 64 tokens; a longer conversation gets more of them.
_THINKING_BLOCK = 64
_INPUT_PER_BLOCK = 500
_MOST_BLOCKS = 8


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, in the sense of the request record: totals include their parts."""

    input_tokens: int
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0

    def times(self, choices: int) -> "Usage":
        """Return the usage of so many answers to one question: the question is billed once."""
        if choices == 1:
            return self
        return replace(
            self,
            output_tokens=self.output_tokens * choices,
            reasoning_tokens=self.reasoning_tokens * choices,
            output_audio_tokens=self.output_audio_tokens * choices,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says."""

    pieces: tuple[str, ...]
    """The visible output, token by token: text, or the arguments of a tool call."""
    finish: Finish
    usage: Usage
    stop_sequence: str | None = None
    tool: str | None = None
    """The name of the tool that is called, where one is."""

    @property
    def text(self) -> str:
        """The visible output."""
        return "".join(self.pieces)


def compose(
    text: str,
    directives: Directives,
    *,
    model: str,
    input_tokens: int,
    limit: int | None = None,
    stops: Sequence[str] = (),
    tool: str | None = None,
    thinks: bool | None = None,
) -> Answer:
    """Return the answer that says `text`, as far as limits and directives let it.

    input_tokens: the conversation as billed. limit: the most output tokens, reasoning included. tool: the
    tool that is called, with `text` as its arguments. thinks: whether the model reasons; None leaves that to
    its name.
    """
    finish: Finish = "stop" if tool is None else "tool"
    stop_sequence = None
    if directives.tokens is not None and tool is None:
        pieces = filler(directives.tokens)
    else:
        for stop in stops if tool is None else ():
            head, found, _ = text.partition(stop)
            if found:
                text, stop_sequence, finish = head, stop, "stop_sequence"
        pieces = tuple(tokens.split(text))
    if "content_filter" in directives.shapes:
        pieces, finish = pieces[: len(pieces) // 2], "content_filter"
    reasoning = directives.reasoning
    if reasoning is None:
        thinks = models.reasons(model) if thinks is None else thinks
        reasoning = _THINKING_BLOCK * min(1 + input_tokens // _INPUT_PER_BLOCK, _MOST_BLOCKS) if thinks else 0
    if limit is not None and reasoning + len(pieces) > limit:
        reasoning = min(reasoning, limit)
        pieces, finish, stop_sequence = pieces[: limit - reasoning], "length", None
    usage = Usage(
        input_tokens=input_tokens + directives.cached + directives.cache_write + directives.input_audio,
        output_tokens=len(pieces) + reasoning + directives.output_audio,
        cached_input_tokens=directives.cached,
        cache_write_tokens=directives.cache_write,
        reasoning_tokens=reasoning,
        input_audio_tokens=directives.input_audio,
        output_audio_tokens=directives.output_audio,
    )
    return Answer(pieces, finish, usage, stop_sequence, tool)


def filler(length: int) -> tuple[str, ...]:
    """Return text of exactly `length` tokens."""
    pieces = list(itertools.islice(itertools.cycle(tokens.split(replies.FILLER)), length))
    if pieces:
        pieces[0] = pieces[0].lstrip()
    return tuple(pieces)
