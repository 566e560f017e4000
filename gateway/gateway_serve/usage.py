"""What a call used, in one vocabulary, from what each provider says."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from gateway_contracts.record_field import MAX_INT


class Usage(NamedTuple):
    """Token counts as in the request record: totals include their details; None is unknown."""

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    provider_cost_usd: str | None = None


UNKNOWN = Usage()

# Beyond this power of ten, or with more digits, an amount is no money.
_MAX_MAGNITUDE = 15
_MAX_MONEY = 40


def normalise(stated: Mapping[str, Any], provider: str | None = None) -> Usage:
    """Return what a provider's `usage` object says. A count below 0 or with a fraction is unknown."""
    if "prompt_tokens" in stated:
        return _openai(stated, provider)
    if "input_tokens_details" in stated or ("input_tokens" in stated and "total_tokens" in stated):
        return _responses(stated)
    if "input_tokens" in stated or "output_tokens" in stated:
        return _anthropic(stated)
    return UNKNOWN


def _openai(stated: Mapping[str, Any], provider: str | None) -> Usage:
    # https://platform.openai.com/docs/api-reference/chat/object
    given = mapping(stated.get("prompt_tokens_details"))
    made = mapping(stated.get("completion_tokens_details"))
    input_tokens = _count(stated.get("prompt_tokens"))
    output_tokens = _count(stated.get("completion_tokens"))
    total = _count(stated.get("total_tokens"))
    if output_tokens is None and "completion_tokens" not in stated and None not in (input_tokens, total):
        # Embeddings state no output, but a total, which is the input's.
        output_tokens = _count((total or 0) - (input_tokens or 0))
    cached = _count(given.get("cached_tokens"))
    if cached is None:
        cached = _count(
            stated.get("prompt_cache_hit_tokens")
        )  # https://api-docs.deepseek.com/guides/kv_cache
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=cached,
        cache_write_tokens=_count(given.get("cache_write_tokens")),
        output_tokens=output_tokens,
        reasoning_tokens=_count(made.get("reasoning_tokens")),
        input_audio_tokens=_count(given.get("audio_tokens")),
        output_audio_tokens=_count(made.get("audio_tokens")),
        # https://openrouter.ai/docs/use-cases/usage-accounting: one credit is one US dollar.
        provider_cost_usd=_money(stated.get("cost")) if provider == "openrouter" else None,
    )


def _responses(stated: Mapping[str, Any]) -> Usage:
    # https://platform.openai.com/docs/api-reference/responses/object
    given = mapping(stated.get("input_tokens_details"))
    made = mapping(stated.get("output_tokens_details"))
    return Usage(
        input_tokens=_count(stated.get("input_tokens")),
        cached_input_tokens=_count(given.get("cached_tokens")),
        cache_write_tokens=_count(given.get("cache_write_tokens")),
        output_tokens=_count(stated.get("output_tokens")),
        reasoning_tokens=_count(made.get("reasoning_tokens")),
        input_audio_tokens=_count(given.get("audio_tokens")),
        output_audio_tokens=_count(made.get("audio_tokens")),
    )


def _anthropic(stated: Mapping[str, Any]) -> Usage:
    # input_tokens leaves out what was read from or written to the cache.
    # https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
    input_tokens = _count(stated.get("input_tokens"))
    read = _count(stated.get("cache_read_input_tokens"))
    written = _count(stated.get("cache_creation_input_tokens"))
    if input_tokens is not None:
        input_tokens += (read or 0) + (written or 0)
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=read,
        cache_write_tokens=written,
        output_tokens=_count(stated.get("output_tokens")),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int | None:
    # A bool is an int too, but no count.
    return value if type(value) is int and 0 <= value <= MAX_INT else None


def _money(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    if not amount.is_finite() or amount < 0 or abs(amount.adjusted()) > _MAX_MAGNITUDE:
        return None
    text = format(amount, "f")
    return text if len(text) <= _MAX_MONEY else None
