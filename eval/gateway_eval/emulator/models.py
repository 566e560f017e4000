"""Names of models: what the caller asks for, and what the provider says it used."""

import functools
import re
from typing import Any

from gateway_eval.emulator.errors import Dialect

# A provider answers an alias with the dated snapshot behind it.
# https://platform.openai.com/docs/models, https://docs.anthropic.com/en/docs/about-claude/models
SNAPSHOTS = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-16k": "gpt-3.5-turbo-16k-0613",
    "gpt-35-turbo": "gpt-35-turbo-0125",
    "gpt-4": "gpt-4-0613",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.2-pro": "gpt-5.2-pro-2025-12-11",
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
    "gpt-5.5": "gpt-5.5-2026-04-23",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-3-5-sonnet-latest": "claude-3-5-sonnet-20241022",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}

# Names that stand for themselves.
_UNDATED = (
    "gpt-3.5-turbo-instruct",
    "gpt-5-chat-latest",
    "claude-sonnet-4-6",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-haiku-5-5",
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
)

EMBEDDING_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "gemini-embedding-001": 3072,
    "text-embedding-004": 768,
}

_REASONING = re.compile(r"(?:o\d|gpt-[5-9])(?!.*chat)|gemini-(?:2\.5|[3-9])(?!.*lite)")


def snapshot(model: str) -> str:
    """Return the name that the provider answers with for `model`; an unknown name stays as it is."""
    return SNAPSHOTS.get(model, model)


@functools.lru_cache(1024)
def reasons(model: str) -> bool:
    """Tell whether `model` thinks before it answers, and bills for it."""
    return _REASONING.match(model) is not None


def dimensions(model: str) -> int:
    """Return the length of the vectors of an embedding model; 1536 where the name is unknown."""
    return EMBEDDING_DIMENSIONS.get(model, 1536)


def catalogue() -> list[str]:
    """Return the names that the list of models shows, sorted."""
    return sorted({*SNAPSHOTS, *SNAPSHOTS.values(), *_UNDATED, *EMBEDDING_DIMENSIONS})


def page(names: list[str], dialect: Dialect) -> dict[str, Any]:
    """Return the list of models as the provider shows it."""
    if dialect == "gemini":
        methods = ["generateContent", "countTokens", "embedContent"]
        listed_models = [
            {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": methods}
            for name in names
        ]
        return {"models": listed_models}
    if dialect == "anthropic":
        data = [
            {"type": "model", "id": name, "display_name": name, "created_at": "2024-01-01T00:00:00Z"}
            for name in names
        ]
        return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    listed: list[dict[str, Any]] = [
        {"id": name, "object": "model", "created": 1704067200, "owned_by": "emulator"} for name in names
    ]
    return {"object": "list", "data": listed}
