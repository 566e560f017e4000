"""POST /v1/messages of Anthropic.

https://docs.anthropic.com/en/api/messages and .../messages-streaming
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, replies, tokens, tools
from gateway_eval.emulator.answer import Answer, Usage, compose
from gateway_eval.emulator.call import Call, decode, encode, stop_list
from gateway_eval.emulator.errors import Dialect, ProviderError, asked_for, invalid

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "content_filter": "refusal",
    "tool": "tool_use",
}
_THOUGHT = "The caller asks me something; I look it up in memory."
_TOOL_ID = "toolu_emulator000000000001"


class MessagesCall(Call):
    """One message call, parsed and answered."""

    id_prefix: ClassVar[bytes] = b"msg_"

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:  # noqa: ARG002 (Azure's)
        request = decode(body)
        self.dialect = dialect
        self.model = _required(request, "model", str)
        messages = checked_messages(request)
        said = spoken(messages)
        self.directives = directive.parse(said[-1] if said else "", fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        limit: int = _required(request, "max_tokens", int)
        if limit < 1:
            raise invalid("max_tokens: Input should be greater than or equal to 1")
        self.stream = request.get("stream") is True
        thinking = request.get("thinking")
        self._thinks = isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")
        text, tool = _say(request, messages, said, self.directives)
        self._answer = compose(
            text,
            self.directives,
            model=self.model,
            input_tokens=count_input(request, messages),
            limit=limit,
            stops=stop_list(request.get("stop_sequences")),
            tool=tool,
            thinks=self._thinks,
        )
        self.usage = self._answer.usage
        self._served = models.snapshot(self.model)
        self._rest = b"" if self.stream else b"," + encode(self._document())[1:]
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:  # noqa: ARG002 (messages have no time)
        """Return the JSON body."""
        return b'{"id":"%b"%b' % (answer_id, self._rest)

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002 (the same)
        """Yield message_start, the blocks token by token, message_delta with the usage, and message_stop."""
        yield self._message_start(answer_id), 0
        yield from self._chunks

    def error_event(self, error: ProviderError, request_id: str, number: int) -> bytes:
        """Return the event that ends a stream with an error."""
        return b"event: error\n" + super().error_event(error, request_id, number)

    def _frame(self) -> dict[str, Any]:
        return {"type": "message", "role": "assistant", "model": self._served}

    def _document(self) -> dict[str, Any]:
        answer = self._answer
        content: list[dict[str, Any]] = []
        if self._thinks:
            content.append({"type": "thinking", "thinking": _THOUGHT, "signature": "ZW11bGF0b3I="})
        if answer.tool is not None:
            content.append(
                {"type": "tool_use", "id": _TOOL_ID, "name": answer.tool, "input": _arguments(answer)}
            )
        elif answer.pieces:
            content.append({"type": "text", "text": answer.text})
        document = {**self._frame(), "content": content, **_stop(answer)}
        if "no_usage" not in self.directives.shapes:
            document["usage"] = {
                **_input_usage(self.usage),
                **_output_usage(self.usage),
                "service_tier": "standard",
            }
        return document

    def _message_start(self, answer_id: bytes) -> bytes:
        message = {
            "id": answer_id.decode(),
            **self._frame(),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }
        if "no_usage" not in self.directives.shapes:
            message["usage"] = {**_input_usage(self.usage), "output_tokens": 1, "service_tier": "standard"}
        return _event("message_start", message=message)

    def _prepare_chunks(self) -> Iterator[tuple[bytes, int]]:
        answer = self._answer
        index = 0
        if self._thinks:
            yield (
                _event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
                0,
            )
            thought = {"type": "thinking_delta", "thinking": _THOUGHT}
            yield _event("content_block_delta", index=0, delta=thought), answer.usage.reasoning_tokens
            signature = {"type": "signature_delta", "signature": "ZW11bGF0b3I="}
            yield _event("content_block_delta", index=0, delta=signature), 0
            yield _event("content_block_stop", index=0), 0
            index = 1
        block: dict[str, Any] = {"type": "text", "text": ""}
        kind, name = "text_delta", "text"
        if answer.tool is not None:
            block = {"type": "tool_use", "id": _TOOL_ID, "name": answer.tool, "input": {}}
            kind, name = "input_json_delta", "partial_json"
        unseen = 0 if self._thinks else answer.usage.reasoning_tokens
        yield _event("content_block_start", index=index, content_block=block), unseen
        yield _event("ping"), 0
        for piece in answer.pieces:
            yield _event("content_block_delta", index=index, delta={"type": kind, name: piece}), 1
        yield _event("content_block_stop", index=index), 0
        end: dict[str, Any] = {"delta": _stop(answer)}
        if "no_usage" not in self.directives.shapes:
            end["usage"] = {**_input_usage(self.usage), **_output_usage(self.usage)}
        yield _event("message_delta", **end), 0
        yield _event("message_stop"), 0


def count_input(request: dict[str, Any], messages: list[dict[str, Any]]) -> int:
    """Return the input tokens of a request: its messages, its system text and its tools."""
    system = tokens.text_of(request.get("system"))
    return tokens.count_chat(messages) + tokens.count(system) + tokens.count_tools(request.get("tools"))


def count_tokens(body: bytes) -> bytes:
    """Return the answer of POST /v1/messages/count_tokens. Raises ProviderError for a wrong request."""
    request = decode(body)
    _required(request, "model", str)
    return encode({"input_tokens": count_input(request, checked_messages(request))})


def checked_messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request. Raises ProviderError (400) where the API would not take them."""
    messages: list[Any] = _required(request, "messages", list)
    if not messages:
        raise invalid("messages: at least one message is required")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise invalid(f"messages.{position}: Input should be an object")
        if message.get("role") not in ("user", "assistant"):
            raise invalid(f"messages.{position}.role: Input should be 'user' or 'assistant'")
        if not message.get("content"):
            raise invalid(f"messages.{position}: all messages must have non-empty content")
    return messages


def spoken(messages: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the caller's messages, oldest first."""
    return [tokens.text_of(message["content"]) for message in messages if message["role"] == "user"]


def _required(request: dict[str, Any], name: str, kind: type) -> Any:
    value = request.get(name)
    if value is None:
        raise invalid(f"{name}: Field required")
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = {str: "a valid string", int: "a valid integer", list: "a valid list"}[kind]
        raise invalid(f"{name}: Input should be {wanted}")
    return value


def _say(
    request: dict[str, Any], messages: list[dict[str, Any]], said: list[str], directives: directive.Directives
) -> tuple[str, str | None]:
    """Return the text of the answer, and the tool that it is the arguments of."""
    last = messages[-1]["content"]
    for part in last if isinstance(last, list) else ():
        if isinstance(part, dict) and part.get("type") == "tool_result":
            return f"The tool returned: {tokens.text_of(part.get('content'))}", None
    question = directive.strip(said[-1]) if said else ""
    offered = request.get("tools")
    named = [
        (str(tool.get("name")), tool.get("input_schema"))
        for tool in (offered if isinstance(offered, list) else ())
        if isinstance(tool, dict)
    ]
    wanted = directives.tool_call
    match request.get("tool_choice"):
        case {"type": "any"}:
            wanted = wanted or ""
        case {"type": "tool", "name": str(name)}:
            wanted = name
    if tool := tools.chosen(named, wanted):
        return json.dumps(tools.example(tool[1], question)), tool[0]
    return replies.reply([directive.strip(text) for text in said]), None


def _arguments(answer: Answer) -> Any:
    try:
        return json.loads(answer.text)
    except ValueError:  # cut by max_tokens
        return {}


def _stop(answer: Answer) -> dict[str, Any]:
    return {"stop_reason": _STOP_REASONS[answer.finish], "stop_sequence": answer.stop_sequence}


def _input_usage(usage: Usage) -> dict[str, Any]:
    # Unlike OpenAI, input_tokens leaves out what was read from or written to the cache.
    return {
        "input_tokens": usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
    }


def _output_usage(usage: Usage) -> dict[str, Any]:
    output: dict[str, Any] = {"output_tokens": usage.output_tokens}
    if usage.reasoning_tokens:
        output["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return output


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), encode({"type": kind, **fields}))
