"""POST /v1/chat/completions of OpenAI, and the same at Azure.

https://platform.openai.com/docs/api-reference/chat
"""

import functools
import json
from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, replies, tokens, tools
from gateway_eval.emulator.answer import Answer, Usage, compose
from gateway_eval.emulator.call import (
    Call,
    decode,
    encode,
    encode_text,
    missing,
    stop_list,
    text_field,
    whole_number,
)
from gateway_eval.emulator.errors import Dialect, asked_for, invalid

_FINGERPRINT = "fp_emulator01"
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SAFE = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}


class ChatCall(Call):
    """One chat call, parsed and answered."""

    id_prefix: ClassVar[bytes] = b"chatcmpl-"

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or text_field(request, "model")
        messages = _messages(request)
        said = [tokens.text_of(message.get("content")) for message in messages if message["role"] == "user"]
        self.directives = directive.parse(said[-1] if said else "", fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        self._choices = whole_number(request, "n", high=128) or 1
        self.stream = request.get("stream") is True
        options = request.get("stream_options")
        asked_for_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._usage_event = asked_for_usage and "no_usage" not in self.directives.shapes
        text, tool = _say(request, messages, said, self.directives)
        self._answer = compose(
            text,
            self.directives,
            model=self.model,
            input_tokens=tokens.count_chat(messages) + tokens.count_tools(request.get("tools")),
            limit=_limit(request, self.model),
            stops=stop_list(request.get("stop")),
            tool=tool,
        )
        self.usage = self._answer.usage.times(self._choices)
        tier = request.get("service_tier")
        self._tier = tier if tier in ("flex", "priority", "scale") else "default"
        self._served = models.snapshot(self.model)
        self._rest = b"" if self.stream else self._whole()
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:
        """Return the JSON body."""
        return b'{"id":"%b","object":"chat.completion","created":%b%b' % (answer_id, created, self._rest)

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield one event a token, the end, the usage where it was asked for, and `[DONE]`."""
        head = b'data: {"id":"%b","object":"chat.completion.chunk","created":%b' % (answer_id, created)
        if self.dialect == "azure":
            yield _azure_opening(), 0
        for rest, count in self._chunks:
            yield head + rest, count
        yield b"data: [DONE]\n\n", 0

    def _whole(self) -> bytes:
        """Return the JSON of the answer after its id and time."""
        answer, usual = self._answer, "no_usage" not in self.directives.shapes
        if answer.tool is not None or not usual:
            return b"," + encode(self._document())[1:]
        tier = None if self.dialect == "azure" else self._tier
        around, behind = _frame(self._served, _finish(answer), tier, self._choices)
        return encode_text(answer.text).join(around) + _encoded_usage(self.usage) + behind

    def _document(self) -> dict[str, Any]:
        answer = self._answer
        message = _message(answer.text)
        if answer.tool is not None:
            function = {"name": answer.tool, "arguments": answer.text}
            message |= {
                "content": None,
                "tool_calls": [{"id": _tool_id(), "type": "function", "function": function}],
            }
        usage = None if "no_usage" in self.directives.shapes else openai_usage(self.usage)
        tier = None if self.dialect == "azure" else self._tier
        return _document(self._served, _finish(answer), tier, self._choices, message, usage)

    def _prepare_chunks(self) -> Iterator[tuple[bytes, int]]:
        tier = {} if self.dialect == "azure" else {"service_tier": self._tier}
        frame = encode({"model": self._served, **tier, "system_fingerprint": _FINGERPRINT})
        head = b"," + frame[1:-1] + b',"choices":['
        tail = b'],"usage":null}\n\n' if self._usage_event else b"]}\n\n"
        plain = [_plain_choice(index) for index in range(self._choices)]
        for delta, finish, count in _deltas(self._answer):
            if isinstance(delta, str):
                text = encode_text(delta)
                yield from ((head + before + text + after + tail, count) for before, after in plain)
                continue
            for index in range(self._choices):
                choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
                yield head + encode(choice) + tail, count
        if self._usage_event:
            yield head + b'],"usage":%b}\n\n' % encode(openai_usage(self.usage)), 0


def _message(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "refusal": None, "annotations": []}


def _document(
    served: str,
    finish: str,
    tier: str | None,
    choices: int,
    message: dict[str, Any],
    usage: dict[str, Any] | str | None,
) -> dict[str, Any]:
    """Return an answer as OpenAI shapes it, or, without a tier, as Azure does."""
    azure = {"content_filter_results": _SAFE} if tier is None else {}
    document: dict[str, Any] = {
        "model": served,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish, **azure}
            for index in range(choices)
        ],
    }
    if usage is not None:
        document["usage"] = usage
    if tier is None:
        document["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    else:
        document["service_tier"] = tier
    document["system_fingerprint"] = _FINGERPRINT
    return document


# Most of an answer's JSON is the same in every answer of a model. Encoding it anew takes longer than all the
# rest, so what surrounds the texts and the usage is kept.


@functools.lru_cache(1024)
def _frame(served: str, finish: str, tier: str | None, choices: int) -> tuple[list[bytes], bytes]:
    """Return what is before, between and after the texts, the last of these up to the usage; and the rest."""
    document = _document(served, finish, tier, choices, _message("\0text"), "\0usage")
    before, _, behind = (b"," + encode(document)[1:]).partition(encode("\0usage"))
    return before.split(encode("\0text")), behind


@functools.lru_cache(4096)
def _encoded_usage(usage: Usage) -> bytes:
    return encode(openai_usage(usage))


@functools.lru_cache(256)
def _plain_choice(index: int) -> tuple[bytes, bytes]:
    """Return what is before and after the text in a choice of a streamed event."""
    choice = {"index": index, "delta": {"content": "\0text"}, "logprobs": None, "finish_reason": None}
    before, _, after = encode(choice).partition(encode("\0text"))
    return before, after


def _deltas(answer: Answer) -> Iterator[tuple[dict[str, Any] | str, str | None, int]]:
    """Yield what each event of one choice says, a text or more, the finish reason, and its output tokens."""
    opening: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": ""}
        opening["content"] = None
        opening["tool_calls"] = [{"index": 0, "id": _tool_id(), "type": "function", "function": function}]
    # Thinking comes before the first word, so a caller who leaves after it has used those tokens.
    yield opening, None, answer.usage.reasoning_tokens + answer.usage.output_audio_tokens
    for piece in answer.pieces:
        if answer.tool is None:
            yield piece, None, 1
        else:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, None, 1
    yield {}, _finish(answer), 0


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Return tokens as OpenAI states them: totals include cached, reasoning and audio tokens."""
    prompt = {"cached_tokens": usage.cached_input_tokens, "audio_tokens": usage.input_audio_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.output_audio_tokens,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _azure_opening() -> bytes:
    # Azure opens a stream with an event about the prompt that has no choices, no id and no model.
    results = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    opening = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": results,
    }
    return b"data: " + encode(opening) + b"\n\n"


def _say(
    request: dict[str, Any], messages: list[dict[str, Any]], said: list[str], directives: directive.Directives
) -> tuple[str, str | None]:
    """Return the text of the answer, and the tool that it is the arguments of."""
    if messages[-1]["role"] in ("tool", "function"):
        return f"The tool returned: {tokens.text_of(messages[-1].get('content'))}", None
    question = directive.strip(said[-1]) if said else ""
    if tool := tools.chosen(_tools(request), _wanted_tool(request, directives)):
        return json.dumps(tools.example(tool[1], question)), tool[0]
    text = replies.reply([directive.strip(one) for one in said])
    match request.get("response_format"):
        case {"type": "json_object"}:
            return json.dumps({"answer": text}), None
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(tools.example(schema, text)), None
    return text, None


def _tools(request: dict[str, Any]) -> list[tuple[str, Any]]:
    offered = request.get("tools")
    functions = (
        [tool.get("function") for tool in offered if isinstance(tool, dict)]
        if isinstance(offered, list)
        else []
    )
    return [(str(one.get("name")), one.get("parameters")) for one in functions if isinstance(one, dict)]


def _wanted_tool(request: dict[str, Any], directives: directive.Directives) -> str | None:
    match request.get("tool_choice"):
        case "required":
            return directives.tool_call or ""
        case {"function": {"name": str(name)}}:
            return name
        case _:
            return directives.tool_call


def _tool_id() -> str:
    return "call_emulator000000000001"


def _finish(answer: Answer) -> str:
    return {"stop_sequence": "stop", "tool": "tool_calls"}.get(answer.finish, answer.finish)


def _limit(request: dict[str, Any], model: str) -> int | None:
    if models.reasons(model) and request.get("max_tokens") is not None:
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    limit = whole_number(request, "max_completion_tokens")
    return whole_number(request, "max_tokens") if limit is None else limit


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    messages = request.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise invalid(
            "Invalid type for 'messages': expected an array of objects.", "messages", "invalid_type"
        )
    if not messages:
        raise invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead.",
            "messages",
            "empty_array",
        )
    for position, message in enumerate(messages):
        if message.get("role") not in _ROLES:
            supported = ", ".join(map(repr, _ROLES))
            raise invalid(
                f"Invalid value: '{message.get('role')}'. Supported values are: {supported}.",
                f"messages[{position}].role",
                "invalid_value",
            )
    return messages
