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
    if "promptTokenCount" in stated:
        return _gemini(stated)
    if "inputTokens" in stated:
        return _converse(stated)
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
    reasoning = _count(made.get("reasoning_tokens"))
    if None not in (input_tokens, output_tokens, reasoning, total) and reasoning:
        # xAI counts reasoning beside the output, as its total shows. https://docs.x.ai/docs/guides/reasoning
        beside = (input_tokens or 0) + (output_tokens or 0) + reasoning
        output_tokens = (output_tokens or 0) + reasoning if total == beside else output_tokens
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
        reasoning_tokens=reasoning,
        input_audio_tokens=_count(given.get("audio_tokens")),
        output_audio_tokens=_count(made.get("audio_tokens")),
        # https://openrouter.ai/docs/use-cases/usage-accounting: one credit is one US dollar.
        provider_cost_usd=_money(stated.get("cost")) if provider == "openrouter" else None,
    )


def _gemini(stated: Mapping[str, Any]) -> Usage:
    # https://ai.google.dev/api/generate-content#UsageMetadata: the prompt includes what was cached, while
    # thoughts and the prompts of tools are counted beside the rest.
    return Usage(
        input_tokens=_sum(stated, "promptTokenCount", "toolUsePromptTokenCount"),
        cached_input_tokens=_count(stated.get("cachedContentTokenCount")),
        output_tokens=_sum(stated, "candidatesTokenCount", "thoughtsTokenCount"),
        reasoning_tokens=_count(stated.get("thoughtsTokenCount")),
        input_audio_tokens=_audio(stated.get("promptTokensDetails")),
        output_audio_tokens=_audio(stated.get("candidatesTokensDetails")),
    )


def _converse(stated: Mapping[str, Any]) -> Usage:
    # As Anthropic's own, this leaves out what was read from or written to the cache.
    # https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    return Usage(
        input_tokens=_sum(stated, "inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
        cached_input_tokens=_count(stated.get("cacheReadInputTokens")),
        cache_write_tokens=_count(stated.get("cacheWriteInputTokens")),
        output_tokens=_count(stated.get("outputTokens")),
    )


def _sum(stated: Mapping[str, Any], first: str, *others: str) -> int | None:
    """Return a count with those that belong to it; None where the first is unknown and the others too."""
    counts = [_count(stated.get(name)) for name in (first, *others)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _audio(details: Any) -> int | None:
    """Return the tokens of audio in Gemini's list of modalities; None where there is no list."""
    if not isinstance(details, list):
        return None
    found = [mapping(one) for one in details]
    return sum(_count(one.get("tokenCount")) or 0 for one in found if one.get("modality") == "AUDIO")


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
    return value if isinstance(value, dict) else {}


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
