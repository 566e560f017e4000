"""POST /v1/embeddings of OpenAI. Texts that share words get vectors that point the same way.

https://platform.openai.com/docs/api-reference/embeddings
"""

import base64
import functools
import hashlib
import math
import re
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, tokens
from gateway_eval.emulator.answer import Usage
from gateway_eval.emulator.call import Call, decode, encode, missing, text_field, whole_number
from gateway_eval.emulator.errors import Dialect, asked_for, invalid

_MOST_INPUTS = 2048
# A vector costs time in proportion to the different words of its text; those after these no longer change it.
_MOST_WORDS = 128
_WORD = re.compile(r"\w+")


class EmbeddingCall(Call):
    """One embedding call, parsed and answered."""

    id_prefix: ClassVar[bytes] = b"emb-"

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or text_field(request, "model")
        self.stream = False
        if request.get("input") is None:
            raise missing("input")
        inputs = tokens.of_prompts(request["input"])
        if inputs is None or not all(text for text, _ in inputs):
            raise invalid("'$.input' is invalid. Please check the API reference.", "input")
        if len(inputs) > _MOST_INPUTS:
            raise invalid(f"'input' has {len(inputs)} entries; the most is {_MOST_INPUTS}.", "input")
        self.directives = directive.parse(inputs[-1][0], fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        length = _length(request, self.model)
        form = request.get("encoding_format") or "float"
        if form not in ("float", "base64"):
            raise invalid(
                f"Invalid value: '{form}'. Supported values are: 'float' and 'base64'.", "encoding_format"
            )
        self.usage = Usage(sum(count for _, count in inputs))
        data = []
        for index, (text, _) in enumerate(inputs):
            values = vector(text, length)
            packed = (
                base64.b64encode(struct.pack(f"<{length}f", *values)).decode() if form == "base64" else values
            )
            data.append({"object": "embedding", "index": index, "embedding": packed})
        document: dict[str, Any] = {"object": "list", "data": data, "model": models.snapshot(self.model)}
        if "no_usage" not in self.directives.shapes:
            total = self.usage.input_tokens
            document["usage"] = {"prompt_tokens": total, "total_tokens": total}
        self._body = encode(document)

    def whole(self, answer_id: bytes, created: bytes) -> bytes:  # noqa: ARG002 (embeddings have neither)
        """Return the JSON body."""
        return self._body

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002 (the same)
        """Yield nothing: embeddings are never streamed."""
        return iter(())


@functools.lru_cache(256)
def vector(text: str, length: int) -> tuple[float, ...]:
    """Return the vector of a text: `length` numbers, as long as 1 together.

    It is the sum of one fixed vector for each different word, so its direction says which words a text has.
    """
    words = list(dict.fromkeys(_WORD.findall(text.lower())))[:_MOST_WORDS] or [text]
    sums = [0] * length
    for word in words:
        for position, byte in enumerate(hashlib.shake_128(word.encode("utf-8", "replace")).digest(length)):
            sums[position] += byte
    # A byte is 127.5 in the mean; without that part two words have nothing in common.
    mean = 127.5 * len(words)
    values = [total - mean for total in sums]
    norm = math.sqrt(sum(value * value for value in values))
    return tuple(round(value / norm, 8) for value in values)


def _length(request: dict[str, Any], model: str) -> int:
    longest = models.dimensions(model)
    length = whole_number(request, "dimensions")
    if length is None:
        return longest
    if model == "text-embedding-ada-002":
        raise invalid("This model does not support specifying dimensions.", "dimensions")
    if length > longest:
        raise invalid(
            f"Invalid value for 'dimensions' = {length}. Must be less than or equal to {longest}.",
            "dimensions",
        )
    return length
