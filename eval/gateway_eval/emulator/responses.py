"""POST /v1/responses of OpenAI, and the same at Azure.

https://platform.openai.com/docs/api-reference/responses and .../responses-streaming
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, replies, tokens, tools
from gateway_eval.emulator.answer import Usage, compose
from gateway_eval.emulator.call import Call, decode, encode, missing, text_field, whole_number
from gateway_eval.emulator.errors import Dialect, ProviderError, asked_for, invalid

_ROLES = ("system", "developer", "user", "assistant")
_MESSAGE_ID = "msg_emulator000000000001"
_REASONING_ID = "rs_emulator000000000001"
_TOOL_ID = "fc_emulator000000000001"
_TOOL_CALL_ID = "call_emulator000000000001"
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}

Item = dict[str, Any]


class ResponsesCall(Call):
    """One response call, parsed and answered."""

    id_prefix: ClassVar[bytes] = b"resp_"

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or text_field(request, "model")
        _refuse_state(request)
        items = _items(request)
        said = [tokens.text_of(item.get("content")) for item in items if item.get("role") == "user"]
        self.directives = directive.parse(said[-1] if said else "", fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        self.stream = request.get("stream") is True
        text, tool = _say(request, items, said, self.directives)
        self._answer = compose(
            text,
            self.directives,
            model=self.model,
            input_tokens=_count_input(request, items),
            limit=whole_number(request, "max_output_tokens", low=16),
            tool=tool,
        )
        self.usage = self._answer.usage
        self._settings = _settings(request, self.model)
        self._rest = b"" if self.stream else self._document(finished=True)
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:
        """Return the JSON body."""
        return _head(answer_id, created) + self._rest

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield response.created, the items token by token, and response.completed with the usage."""
        head = _head(answer_id, created)
        for start, response, count in self._chunks:
            yield (start + head + response + b"}\n\n" if response else start), count

    def error_event(self, error: ProviderError, request_id: str, number: int) -> bytes:  # noqa: ARG002
        """Return the event that ends a stream with an error."""
        code = error.type or "server_error"
        return _event("error", number, code=code, message=error.message, param=None)

    def _document(self, *, finished: bool) -> bytes:
        """Return the JSON of the response after its id and time; unfinished it has no output yet."""
        reason = _INCOMPLETE.get(self._answer.finish)
        status = ("incomplete" if reason else "completed") if finished else "in_progress"
        usage = _usage(self.usage) if finished and "no_usage" not in self.directives.shapes else None
        document = {
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if finished and reason else None,
            **self._settings,
            "output": self._items(finished=True) if finished else [],
            "usage": usage,
        }
        return b"," + encode(document)[1:]

    def _items(self, *, finished: bool) -> list[Item]:
        """Return the items of the output: what the model thought, then its message or its call of a tool."""
        answer = self._answer
        thought: list[Item] = []
        if answer.usage.reasoning_tokens:
            thought = [{"id": _REASONING_ID, "type": "reasoning", "summary": []}]
        status = "in_progress"
        if finished:
            status = "incomplete" if answer.finish in _INCOMPLETE else "completed"
        if answer.tool is not None:
            arguments = answer.text if finished else ""
            call = {"call_id": _TOOL_CALL_ID, "name": answer.tool, "arguments": arguments}
            return [*thought, {"id": _TOOL_ID, "type": "function_call", "status": status, **call}]
        if not answer.pieces:  # everything went into thinking
            return thought
        content = [_part(answer.text)] if finished else []
        message = {"id": _MESSAGE_ID, "type": "message", "status": status, "role": "assistant"}
        return [*thought, {**message, "content": content}]

    def _prepare_chunks(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Yield each event: its bytes, what follows the response's id and time if it has one, its tokens."""
        number = 0

        def plain(kind: str, count: int = 0, **fields: Any) -> tuple[bytes, bytes, int]:
            nonlocal number
            number += 1
            return _event(kind, number - 1, **fields), b"", count

        def state(kind: str, count: int = 0, *, finished: bool) -> tuple[bytes, bytes, int]:
            nonlocal number
            number += 1
            opening = _event(kind, number - 1)[: -len(b"}\n\n")] + b',"response":'
            return opening, self._document(finished=finished), count

        yield state("response.created", finished=False)
        # Thinking comes before the first word, so a caller who leaves after it has used those tokens.
        unseen = self.usage.reasoning_tokens + self.usage.output_audio_tokens
        yield state("response.in_progress", unseen, finished=False)
        begun, done = self._items(finished=False), self._items(finished=True)
        for index, (item, whole) in enumerate(zip(begun, done, strict=True)):
            yield plain("response.output_item.added", output_index=index, item=item)
            if item["type"] != "reasoning":
                yield from self._content(item, index, plain)
            yield plain("response.output_item.done", output_index=index, item=whole)
        end = "response.incomplete" if self._answer.finish in _INCOMPLETE else "response.completed"
        yield state(end, finished=True)

    def _content(self, item: Item, index: int, plain: Any) -> Iterator[tuple[bytes, bytes, int]]:
        place = {"item_id": item["id"], "output_index": index}
        text = self._answer.text
        if item["type"] == "function_call":
            for piece in self._answer.pieces:
                yield plain("response.function_call_arguments.delta", 1, **place, delta=piece)
            name = {"name": item["name"], "arguments": text}
            yield plain("response.function_call_arguments.done", **place, **name)
            return
        place["content_index"] = 0
        yield plain("response.content_part.added", **place, part=_part(""))
        for piece in self._answer.pieces:
            yield plain("response.output_text.delta", 1, **place, delta=piece, logprobs=[])
        yield plain("response.output_text.done", **place, text=text, logprobs=[])
        yield plain("response.content_part.done", **place, part=_part(text))


def _head(answer_id: bytes, created: bytes) -> bytes:
    return b'{"id":"%b","object":"response","created_at":%b' % (answer_id, created)


def _event(kind: str, number: int, **fields: Any) -> bytes:
    data = encode({"type": kind, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _part(text: str) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _settings(request: dict[str, Any], model: str) -> dict[str, Any]:
    """Return what the response repeats of the request."""
    tier = request.get("service_tier")
    return {
        "instructions": request.get("instructions"),
        "max_output_tokens": request.get("max_output_tokens"),
        "metadata": request.get("metadata") or {},
        "model": models.snapshot(model),
        "parallel_tool_calls": request.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None, **(request.get("reasoning") or {})},
        "service_tier": tier if tier in ("flex", "priority", "scale") else "default",
        "store": request.get("store") is not False,
        "temperature": request.get("temperature", 1.0),
        "text": request.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p", 1.0),
        "truncation": request.get("truncation") or "disabled",
        "user": request.get("user"),
    }


def _refuse_state(request: dict[str, Any]) -> None:
    """Refuse what only a provider that keeps responses can do."""
    previous = request.get("previous_response_id")
    if previous is not None:
        raise invalid(
            f"Previous response with id '{previous}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    if request.get("background") is True:
        raise invalid("The emulator has no background mode.", "background", "unsupported_parameter")


def _items(request: dict[str, Any]) -> list[Item]:
    given = request.get("input")
    if given is None:
        raise missing("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise invalid(
            "Invalid type for 'input': expected a string or a list of items.", "input", "invalid_type"
        )
    if not given:
        raise invalid("Invalid 'input': empty array.", "input", "empty_array")
    for position, item in enumerate(given):
        if item.get("type", "message") == "message" and item.get("role") not in _ROLES:
            supported = ", ".join(map(repr, _ROLES))
            raise invalid(
                f"Invalid value: '{item.get('role')}'. Supported values are: {supported}.",
                f"input[{position}].role",
                "invalid_value",
            )
    return given


def _count_input(request: dict[str, Any], items: list[Item]) -> int:
    """Return the input tokens: as in a chat, with calls of tools and their results counted by their text."""
    said: list[Item] = []
    if request.get("instructions"):
        said.append({"role": "developer", "content": str(request["instructions"])})
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            said.append(item)
        elif kind == "function_call":
            said.append({"role": "assistant", "content": f"{item.get('name')}{item.get('arguments')}"})
        elif kind == "function_call_output":
            said.append({"role": "tool", "content": item.get("output")})
    return tokens.count_chat(said) + tokens.count_tools(request.get("tools"))


def _say(
    request: dict[str, Any], items: list[Item], said: list[str], directives: directive.Directives
) -> tuple[str, str | None]:
    """Return the text of the answer, and the tool that it is the arguments of."""
    if items[-1].get("type") == "function_call_output":
        return f"The tool returned: {tokens.text_of(items[-1].get('output'))}", None
    question = directive.strip(said[-1]) if said else ""
    offered = request.get("tools")
    named = [
        (str(tool.get("name")), tool.get("parameters"))
        for tool in (offered if isinstance(offered, list) else ())
        if isinstance(tool, dict) and tool.get("type") == "function"
    ]
    wanted = directives.tool_call
    match request.get("tool_choice"):
        case "required":
            wanted = wanted or ""
        case {"type": "function", "name": str(name)}:
            wanted = name
    if tool := tools.chosen(named, wanted):
        return json.dumps(tools.example(tool[1], question)), tool[0]
    text = replies.reply([directive.strip(one) for one in said])
    match request.get("text"):
        case {"format": {"type": "json_object"}}:
            return json.dumps({"answer": text}), None
        case {"format": {"type": "json_schema", "schema": schema}}:
            return json.dumps(tools.example(schema, text)), None
    return text, None
