"""Which path is which operation of which provider."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from gateway_eval.emulator.call import Call
from gateway_eval.emulator.chat import ChatCall
from gateway_eval.emulator.completions import CompletionCall
from gateway_eval.emulator.embed_content import BatchEmbedContentsCall, EmbedContentCall
from gateway_eval.emulator.embeddings import EmbeddingCall
from gateway_eval.emulator.errors import Dialect
from gateway_eval.emulator.generate_content import GenerateContentCall, StreamGenerateContentCall
from gateway_eval.emulator.messages import MessagesCall
from gateway_eval.emulator.responses import ResponsesCall

Parser = Callable[[bytes, Dialect, str | None, str | None], Call]


@dataclass(frozen=True, slots=True)
class Route:
    """An operation at a path. `deployment` is the name in a path of Azure or Gemini."""

    parse: Parser
    dialect: Dialect
    deployment: str | None = None


_OPENAI: dict[str, Parser] = {
    "chat/completions": ChatCall,
    "completions": CompletionCall,
    "embeddings": EmbeddingCall,
    "responses": ResponsesCall,
}

# Clients differ in whether their base URL ends in /v1, so both are served.
_FIXED: dict[str, Route] = {
    f"{prefix}/{operation}": route
    for prefix in ("", "/v1")
    for operation, route in {
        **{name: Route(parse, "openai") for name, parse in _OPENAI.items()},
        "messages": Route(MessagesCall, "anthropic"),
    }.items()
}
# Azure's paths without a deployment: the body names the model, as at OpenAI.
_FIXED |= {f"/openai/v1/{name}": Route(parse, "azure") for name, parse in _OPENAI.items()}
_FIXED["/openai/responses"] = Route(ResponsesCall, "azure")

_GEMINI: dict[str, Parser] = {
    "generateContent": GenerateContentCall,
    "streamGenerateContent": StreamGenerateContentCall,
    "embedContent": EmbedContentCall,
    "batchEmbedContents": BatchEmbedContentsCall,
}

COUNT_TOKENS = ("/messages/count_tokens", "/v1/messages/count_tokens")

_AZURE_PATH = re.compile(r"/openai/deployments/([^/]+)/(.+)")
_GEMINI_PATH = re.compile(r"/v1(?:beta)?/models/([^/:]+):(\w+)")


def find(path: str) -> Route | None:
    """Return the operation at `path`, None where there is none."""
    route = _FIXED.get(path)
    if route is not None:
        return route
    if (match := _AZURE_PATH.fullmatch(path)) and match[2] in _OPENAI:
        return Route(_OPENAI[match[2]], "azure", match[1])
    if (match := _GEMINI_PATH.fullmatch(path)) and match[2] in _GEMINI:
        return Route(_GEMINI[match[2]], "gemini", match[1])
    return None


def counts_gemini_tokens(path: str) -> bool:
    """Tell whether Gemini counts tokens at `path`."""
    match = _GEMINI_PATH.fullmatch(path)
    return match is not None and match[2] == "countTokens"
