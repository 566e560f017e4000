"""What of a record its price depends on, as SQL over a record."""

from collections.abc import Sequence

from gateway_contracts.price_book import PriceBook

# As price_book.parse_stated_cost.
_STATED_READABLE = r"regexp_full_match(provider_cost_usd, '\d{1,15}(\.\d{1,18})?')"

# As price_book.Usage.contradictory.
_CONTRADICTORY = """coalesce(
            least(input_tokens, cached_input_tokens, cache_write_tokens, input_audio_tokens,
                  output_tokens, reasoning_tokens, output_audio_tokens) < 0
            OR coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)
               + coalesce(input_audio_tokens, 0) > input_tokens
            OR greatest(coalesce(reasoning_tokens, 0), coalesce(output_audio_tokens, 0)) > output_tokens,
            false)"""

# A failed call that cannot have cost anything: the provider refused it, or it never got that far.
_UNBILLED = """coalesce(
            coalesce(http_status, 599) >= 400 AND input_tokens IS NULL AND output_tokens IS NULL
            AND (list_contains(getvariable('never_billed'), error_class)
                 OR (error_class = 'gateway' AND upstream_ms IS NULL)
                 OR (error_class = 'network' AND http_status IS NULL)), false)"""


def bounds_of(books: Sequence[PriceBook]) -> list[int]:
    """The lengths of input above which some price in these books changes."""
    return sorted({bound for book in books for bound in book.long_context_bounds})


def price_blanks(bounds: Sequence[int]) -> dict[str, str]:
    """The blanks of a query about what a record's price in books with these bounds depends on."""
    return {
        "long_context_bracket": long_context_bracket("input_tokens", bounds),
        "contradictory": _CONTRADICTORY,
        "stated_readable": _STATED_READABLE,
        "unbilled": _UNBILLED,
    }


def long_context_bracket(column: str, bounds: Sequence[int]) -> str:
    """How many of these bounds a column of input tokens is above."""
    if not bounds:
        return "0"
    above = " + ".join(f"CAST({column} > {bound} AS TINYINT)" for bound in bounds)
    # Few inputs are above any.
    return f"CASE WHEN {column} > {min(bounds)} THEN {above} ELSE 0 END"
