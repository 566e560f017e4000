"""What a caller asks the emulator to do: in the prompt, as `[emulator:rate_limit]`, or in a header.

A prompt passes through any gateway, a header does not. Only the last user message is read, so that a
conversation can go on after a fault. A call may carry several: `[emulator:delay=0.5] [emulator:tokens=200]`.
"""

import re
from dataclasses import dataclass, field, replace
from typing import Any

_IN_PROMPT = re.compile(r"\s*\[emulator:\s*([^\]]*)\]")

# Faults that are an error answer; see errors.py.
ERRORS = ("rate_limit", "quota", "server_error", "overloaded", "timeout", "authentication", "not_found")
# Faults in how the answer is delivered.
DELIVERY = ("hang", "stall", "cut_stream", "stream_error", "disconnect", "bad_json", "html", "empty")
# Changes to a good answer.
SHAPES = ("no_usage", "content_filter")
# Numbers of tokens; those but `tokens` and `reasoning` are added to what the call has anyway.
COUNTS = ("tokens", "reasoning", "cached", "cache_write", "input_audio", "output_audio")
SECONDS = ("delay", "token_delay")
KNOWN = (*ERRORS, *DELIVERY, *SHAPES, *COUNTS, *SECONDS, "status", "tool_call", "id")

_LONGEST_SECONDS = 3600
# The largest answer is held in memory; no model writes more.
_LARGEST = {"tokens": 200_000, "reasoning": 200_000}
_LARGEST_ADDED = 2_000_000


class DirectiveError(ValueError):
    """A directive that the emulator does not know or cannot read; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Directives:
    """What one call asks for. Times are seconds; counts are tokens; None is not asked for."""

    error: str | None = None
    delivery: str | None = None
    after: int | None = None
    """Output tokens sent before a fault of delivery strikes a stream; None: half of them."""
    shapes: frozenset[str] = field(default_factory=frozenset)
    status: int | None = None
    retry_after: float = 1.0
    delay: float = 0.0
    token_delay: float | None = None
    tokens: int | None = None
    cached: int = 0
    cache_write: int = 0
    input_audio: int = 0
    output_audio: int = 0
    reasoning: int | None = None
    tool_call: str | None = None
    """The tool to call; empty for the first one that the request offers."""
    id: str | None = None


NONE = Directives()


def strip(text: str) -> str:
    """Return `text` without directives."""
    return _IN_PROMPT.sub("", text).strip() if "[emulator:" in text else text


def parse(prompt: str, header: str | None = None) -> Directives:
    """Return what the prompt and the `X-Emulator-Fault` header ask for; the header is applied last.

    Raises DirectiveError for an unknown name or a value out of range.
    """
    found = _IN_PROMPT.findall(prompt) if "[emulator:" in prompt else []
    if header:
        found += re.split(r"[,;]", header)
    directives = NONE
    for text in found:
        name, _, value = text.strip().partition("=")
        directives = _apply(directives, name.strip(), value.strip())
    return directives


def _apply(directives: Directives, name: str, value: str) -> Directives:
    if name in ERRORS:
        after = (
            _number(name, value, _LONGEST_SECONDS)
            if name == "rate_limit" and value
            else directives.retry_after
        )
        return replace(directives, error=name, retry_after=after)
    if name in DELIVERY:
        return replace(
            directives, delivery=name, after=_whole(name, value, _LARGEST["tokens"]) if value else None
        )
    if name in SHAPES:
        return replace(directives, shapes=directives.shapes | {name})
    match name:
        case "delay":
            return replace(directives, delay=_number(name, value, _LONGEST_SECONDS))
        case "token_delay":
            return replace(directives, token_delay=_number(name, value, _LONGEST_SECONDS))
        case "status":
            status = _whole(name, value, 599)
            if status < 400:
                raise DirectiveError(f"emulator directive 'status' takes 400 to 599, not '{value}'")
            return replace(directives, status=status)
        case "tool_call":
            return replace(directives, tool_call=value)
        case "id":
            return replace(directives, id=value[:200] or None)
    if name in COUNTS:
        count = _whole(name, value, _LARGEST.get(name, _LARGEST_ADDED))
        changed: dict[str, Any] = {name: count}
        return replace(directives, **changed)
    raise DirectiveError(f"unknown emulator directive '{name}'; known: {', '.join(KNOWN)}")


def _whole(name: str, value: str, largest: int) -> int:
    number = _number(name, value, largest)
    if number != int(number):
        raise DirectiveError(f"emulator directive '{name}' takes a whole number, not '{value}'")
    return int(number)


def _number(name: str, value: str, largest: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= largest:
        raise DirectiveError(
            f"emulator directive '{name}' takes a number from 0 to {largest:.0f}, not '{value}'"
        )
    return number
