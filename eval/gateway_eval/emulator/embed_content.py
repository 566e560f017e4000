"""POST /v1beta/models/NAME:embedContent and :batchEmbedContents of Gemini.

https://ai.google.dev/api/embeddings
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, tokens
from gateway_eval.emulator.answer import Usage
from gateway_eval.emulator.call import Call, decode, encode, whole_number
from gateway_eval.emulator.embeddings import vector
from gateway_eval.emulator.errors import Dialect, asked_for, invalid


class EmbedContentCall(Call):
    """One call for vectors. The path names the model; Gemini states no usage for it."""

    id_prefix: ClassVar[bytes] = b"gemini-"
    batch: ClassVar[bool] = False

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or ""
        self.stream = False
        asked = request.get("requests") if self.batch else [request]
        if not isinstance(asked, list) or not asked or not all(isinstance(one, dict) for one in asked):
            raise invalid("* BatchEmbedContentsRequest.requests: requests is not specified")
        texts = [_text(one) for one in asked]
        self.directives = directive.parse(texts[-1], fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        longest = models.dimensions(self.model)
        lengths = [whole_number(one, "outputDimensionality", high=longest) or longest for one in asked]
        found = [{"values": vector(text, length)} for text, length in zip(texts, lengths, strict=True)]
        self.usage = Usage(sum(map(tokens.count, texts)))
        self._body = encode({"embeddings": found} if self.batch else {"embedding": found[0]})

    def whole(self, answer_id: bytes, created: bytes) -> bytes:  # noqa: ARG002 (embeddings have neither)
        """Return the JSON body."""
        return self._body

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002 (the same)
        """Yield nothing: embeddings are never streamed."""
        return iter(())


class BatchEmbedContentsCall(EmbedContentCall):
    """The same for several texts."""

    batch: ClassVar[bool] = True


def _text(request: dict[str, Any]) -> str:
    match request.get("content"):
        case {"parts": [*parts]}:
            text = "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))
            if text:
                return text
    raise invalid("* EmbedContentRequest.content: content is not specified or has no text")
