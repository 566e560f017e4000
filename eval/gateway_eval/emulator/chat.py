"""POST /v1/chat/completions of OpenAI, and the same at Azure.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, tokens
from gateway_eval.emulator.answer import Answer, Usage, compose
from gateway_eval.emulator.call import decode, encode, missing, stop_list, text_field, whole_number
from gateway_eval.emulator.errors import Dialect, ProviderError, asked_for

_FINGERPRINT = "fp_emulator01"
_AZURE_FILTER = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}


class ChatCall:
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
        if models.reasons(self.model) and request.get("max_tokens") is not None:
            raise ProviderError(
                400,
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
                "instead.",
                "invalid_request_error",
                "max_tokens",
                "unsupported_parameter",
            )
        limit = whole_number(request, "max_completion_tokens")
        if limit is None:
            limit = whole_number(request, "max_tokens")
        self._choices = whole_number(request, "n", high=128) or 1
        self.stream = request.get("stream") is True
        options = request.get("stream_options")
        self._include_usage = isinstance(options, dict) and options.get("include_usage") is True
        answer = compose(
            [directive.strip(text) for text in said],
            model=self.model,
            input_tokens=tokens.count_chat(messages),
            limit=limit,
            stops=stop_list(request.get("stop")),
            directives=self.directives,
        )
        self._answer = answer
        self.usage = Usage(
            answer.usage.input_tokens,
            answer.usage.output_tokens * self._choices,
            answer.usage.cached_input_tokens,
            answer.usage.cache_write_tokens,
            answer.usage.reasoning_tokens * self._choices,
        )
        tier = request.get("service_tier")
        self._tier = tier if tier in ("flex", "priority", "scale") else "default"
        self._served = models.snapshot(self.model)
        self._rest = b"" if self.stream else b"," + encode(self._whole())[1:]
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:
        """Return the JSON body."""
        return b'{"id":"%b","object":"chat.completion","created":%b%b' % (answer_id, created, self._rest)

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield one event a token, the end, the usage where it was asked for, and `[DONE]`."""
        head = b'data: {"id":"%b","object":"chat.completion.chunk","created":%b' % (answer_id, created)
        if self.dialect == "azure":
            yield self._azure_opening(), 0
        for rest, count in self._chunks:
            yield head + rest, count
        yield b"data: [DONE]\n\n", 0

    def _whole(self) -> dict[str, Any]:
        answer = self._answer
        message = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
        azure = {"content_filter_results": _AZURE_FILTER} if self.dialect == "azure" else {}
        document: dict[str, Any] = {
            "model": self._served,
            "choices": [
                {"index": i, "message": message, "logprobs": None, "finish_reason": _finish(answer), **azure}
                for i in range(self._choices)
            ],
        }
        if "no_usage" not in self.directives.shapes:
            document["usage"] = openai_usage(self.usage)
        if self.dialect == "azure":
            document["prompt_filter_results"] = [{"prompt_index": 0, "content_filter_results": _AZURE_FILTER}]
        else:
            document["service_tier"] = self._tier
        document["system_fingerprint"] = _FINGERPRINT
        return document

    def _prepare_chunks(self) -> Iterator[tuple[bytes, int]]:
        tier = b"" if self.dialect == "azure" else b'"service_tier":%b,' % encode(self._tier)
        head = b',"model":%b,%b"system_fingerprint":"%b","choices":[' % (
            encode(self._served),
            tier,
            _FINGERPRINT.encode(),
        )
        with_usage = self._include_usage and "no_usage" not in self.directives.shapes
        tail = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"
        choice = b'{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}'
        opening = encode({"role": "assistant", "content": "", "refusal": None})
        finish = encode(_finish(self._answer))
        for index in range(self._choices):
            # Thinking comes before the first word, so a caller who leaves after it has used those tokens.
            yield head + choice % (index, opening, b"null") + tail, self._answer.usage.reasoning_tokens
        for piece in self._answer.pieces:
            delta = encode({"content": piece})
            for index in range(self._choices):
                yield head + choice % (index, delta, b"null") + tail, 1
        for index in range(self._choices):
            yield head + choice % (index, b"{}", finish) + tail, 0
        if with_usage:
            yield head + b'],"usage":%b}\n\n' % encode(openai_usage(self.usage)), 0

    def _azure_opening(self) -> bytes:
        # Azure opens a stream with an event about the prompt that has no choices, no id and no model.
        results = [{"prompt_index": 0, "content_filter_results": _AZURE_FILTER}]
        opening = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": results}
        return b"data: " + encode(opening) + b"\n\n"


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Return tokens as OpenAI states them: totals include cached and reasoning tokens."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish(answer: Answer) -> str:
    return "stop" if answer.finish == "stop_sequence" else answer.finish


def _messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    messages = request.get("messages")
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ProviderError(
            400,
            "Invalid type for 'messages': expected an array of objects.",
            "invalid_request_error",
            "messages",
            "invalid_type",
        )
    if not messages:
        raise ProviderError(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "invalid_request_error",
            "messages",
            "empty_array",
        )
    for position, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool", "function"):
            raise ProviderError(
                400,
                f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', "
                "and 'developer'.",
                "invalid_request_error",
                f"messages[{position}].role",
                "invalid_value",
            )
    return messages
