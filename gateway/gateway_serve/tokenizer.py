"""Counts the output of a stream that was cut, with the model's own tokenizer where it is at hand.

tiktoken knows the models of OpenAI, but has to load a vocabulary for each family of them. It is at hand where
TIKTOKEN_CACHE_DIR names a directory that holds it; nothing is ever downloaded here.
"""

import importlib.util
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any


def prepare(models: Iterable[str | None]) -> None:
    """Load what these models need, anew: in a process before it forks, so that all share one copy."""
    at_hand.cache_clear()
    for model in models:
        at_hand(model)


@lru_cache(maxsize=1000)
def at_hand(model: str | None) -> Any:
    """Return tiktoken's encoding for a model; None where there is none, or its vocabulary is not here."""
    if not model or not os.environ.get("TIKTOKEN_CACHE_DIR") or importlib.util.find_spec("tiktoken") is None:
        return None
    import tiktoken
    import tiktoken.load

    read = tiktoken.load.read_file
    tiktoken.load.read_file = _refuse
    try:
        return tiktoken.encoding_for_model(model)
    except (KeyError, OSError, ValueError):
        return None
    finally:
        tiktoken.load.read_file = read


def count(model: str | None, text: str) -> int | None:
    """Return how many tokens a text is; None where the model's tokenizer is not at hand."""
    encoding = at_hand(model)
    return None if encoding is None else len(encoding.encode_ordinary(text))


def _refuse(blobpath: str) -> bytes:
    raise OSError(f"{blobpath} is not in TIKTOKEN_CACHE_DIR")
