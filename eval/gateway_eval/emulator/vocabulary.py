"""A real tokenizer, from a vocabulary file as OpenAI publishes them.

https://github.com/openai/tiktoken
"""

import base64
import binascii
import codecs
from collections.abc import Callable
from pathlib import Path

import tiktoken

# How text is cut up before its parts become tokens goes with the vocabulary; files do not say it.
# https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py
_CL100K = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|"""
    r"""\s*[\r\n]|\s+(?!\S)|\s"""
)
_O200K = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)
# cl100k_base has 100,256 tokens, o200k_base 199,998.
_LARGER_THAN_CL100K = 150_000
_EVERY_BYTE = 256


def splitter(path: Path) -> Callable[[str], list[str]]:
    """Return what splits a text into the tokens of a vocabulary. Raises ValueError for a file that is none.

    A character that is several tokens comes with the last of them; the others are empty.
    """
    ranks = _read(path)
    encoding = tiktoken.Encoding(
        path.name,
        pat_str=_O200K if len(ranks) > _LARGER_THAN_CL100K else _CL100K,
        mergeable_ranks=ranks,
        special_tokens={},
    )

    def split(text: str) -> list[str]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        return [decode(token) for token in encoding.decode_tokens_bytes(encoding.encode_ordinary(text))]

    return split


def _read(path: Path) -> dict[bytes, int]:
    ranks = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(f"{path}:{number}: this is no line of a .tiktoken file") from None
    if any(bytes([value]) not in ranks for value in range(_EVERY_BYTE)):
        raise ValueError(f"{path} is no whole vocabulary: it has no token for every byte")
    return ranks
