"""Keeps keys out of everything that is shown or written."""

import os
from typing import Any
from urllib.parse import quote

_MASK = "[redacted]"
# Shorter ones are no secrets, and masking them would eat letters out of ordinary words.
_SHORTEST = 6


class Secrets:
    """Replaces each key, also as part of a URL, wherever it occurs: a host may well echo it."""

    def __init__(self, *keys: str | None) -> None:
        found = {form for key in keys if key and len(key) >= _SHORTEST for form in (key, quote(key, safe=""))}
        self._forms = sorted(found, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return text without keys."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text

    def redact_all(self, value: Any) -> Any:
        """Return JSON data without keys in any of its texts."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redact(key): self.redact_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.redact_all(item) for item in value]
        return value


def key_from_environment(name: str | None) -> str | None:
    """Return the key in the variable of this name; None without a name.

    Raises ValueError, never with the value in it, where it is not set or could not go into a header.
    """
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise ValueError(f"the variable {name} is not set or empty; export it first")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(
            f"the variable {name} holds characters that no key has; was it copied whole and alone?"
        )
    return key
