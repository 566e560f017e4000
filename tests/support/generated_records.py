"""Records of every kind that a price depends on, for property tests."""

from typing import Any

from hypothesis import strategies as st

from support.analytics_store import FAILED, record

MODELS = (
    ("openai", "gpt-4o", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o", None),
    ("openai", "gpt-5.4", "gpt-5.4-2026-03-05"),
    ("anthropic", "claude-haiku-5-5", "claude-haiku-5-5"),
    ("openai", "text-embedding-3-small", "text-embedding-3-small"),
    ("openai", "gpt-4o-audio-preview", "gpt-4o-audio-preview"),
    ("openai", "home-made", "home-made"),
    ("azure", "gpt-4o", "gpt-4o"),
    (None, None, None),
)


@st.composite
def generated(draw: st.DrawFn, sequence: int) -> dict[str, Any]:
    provider, configured, answered = draw(st.sampled_from(MODELS))
    day = draw(st.sampled_from(["2024-09-30", "2024-10-02", "2026-03-29", "2026-10-25", "2026-11-20"]))
    fields: dict[str, Any] = {
        "received_at": f"{day}T{draw(st.integers(0, 23)):02}:59:59.{draw(st.integers(0, 999_999)):06}Z",
        "provider": provider,
        "request_model": configured,
        "response_model": answered,
        "service_tier": draw(st.sampled_from([None, "default", "batch", "flex", "unheard-of"])),
        "host": draw(st.sampled_from(["h1", "h2"])),
        "api_key_id": draw(st.sampled_from([None, "a", "b"])),
        "end_user": draw(st.sampled_from([None, "ann", "=bob"])),
        "final": draw(st.booleans()),
        "provider_cost_usd": draw(st.sampled_from([None, None, None, "0.000000000000000001", "12.5", "?"])),
    }
    if draw(st.integers(0, 4)) == 0:
        return record(sequence, **fields | FAILED)
    tokens = st.none() | st.sampled_from([0, 1, 7, 99_999, 100_000, 100_001, 272_001, 10**9 + 7])
    names = (
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "input_audio_tokens",
        "output_audio_tokens",
    )
    return record(sequence, **fields, **{name: draw(tokens) for name in names})


@st.composite
def many(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [draw(generated(n)) for n in range(1, draw(st.integers(1, 30)) + 1)]
