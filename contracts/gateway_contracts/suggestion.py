"""Remedies for mistyped names."""

from collections.abc import Collection


def did_you_mean(wrong: str, known: Collection[str]) -> str:
    """A remedy to end a message with: the nearest right name, or all of them."""
    import difflib

    near = difflib.get_close_matches(wrong, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" It has: {', '.join(known)}."
