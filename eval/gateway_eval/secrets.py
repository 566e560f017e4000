"""Keeps keys out of everything that is shown or written."""

import os
from collections.abc import Callable
from os.path import commonprefix
from typing import Any
from urllib.parse import quote

_MASK = "[redacted]"
# Shorter ones are no secrets, and masking them would eat letters out of ordinary words.
_SHORTEST = 6
# So much of a key's beginning tells nothing: it is the provider's mark, as in sk-proj-.
_TELLS_NOTHING = 9


class Secrets:
    """Replaces each key, also as part of a URL, wherever it occurs: a host may well echo it.

    The beginning of a key is taken for it, as texts are cut to fit a line.
    """

    def __init__(self, *keys: str | None) -> None:
        found = {form for key in keys if key and len(key) >= _SHORTEST for form in (key, quote(key, safe=""))}
        self._forms = sorted(found, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return text without keys."""
        for form in self._forms:
            text = _without(text, form)
        return text

    def possible_start(self, text: str) -> int:
        """Return how many of the text's last characters may be the beginning of a key."""
        return max(
            (size for form in self._forms for size in range(1, len(form)) if text.endswith(form[:size])),
            default=0,
        )

    def redact_all(self, value: Any) -> Any:
        """Return JSON data without keys in any of its texts."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redact(key): self.redact_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.redact_all(item) for item in value]
        return value


def _without(text: str, key: str) -> str:
    start = key[: _TELLS_NOTHING + 1]
    found = text.find(start)
    while found >= 0:
        end = found + len(commonprefix([key, text[found : found + len(key)]]))  # noqa: RUF071 - by characters
        text = text[:found] + _MASK + text[end:]
        found = text.find(start, found + len(_MASK))
    return text


class StreamRedactor:
    """Writes text that comes in pieces, without keys, even one that is spread over pieces.

    What may be the beginning of a key is held back until it is known. Control characters, which would drive
    a terminal, are left out.
    """

    def __init__(self, secrets: Secrets, write: Callable[[str], Any]) -> None:
        self._secrets = secrets
        self._write = write
        self._held = ""

    def write(self, text: str) -> None:
        """Write what can be written of the text so far."""
        text = self._held + "".join(c for c in text if c.isprintable() or c in "\n\t")
        ready = len(text) - self._secrets.possible_start(text)
        self._held = text[ready:]
        self._put(text[:ready])

    def end(self) -> None:
        """Write the rest."""
        self._put(self._held)
        self._held = ""

    def _put(self, text: str) -> None:
        if text:
            self._write(self._secrets.redact(text))


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
