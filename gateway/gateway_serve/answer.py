"""What a provider's answer says about itself, whole or as a stream, read before anything else touches it."""

import json
import re
from collections.abc import Mapping
from typing import Any

from gateway_contracts.error_class import ErrorClass, classify, is_quota
from gateway_contracts.request_record import fitting
from gateway_serve import tokenizer
from gateway_serve.usage import UNKNOWN, Usage, mapping, normalise

# The lines of a stream that carry more than text. Text that looks like them only costs a closer look.
_TELLING = re.compile(
    rb'"(?:usage|usageMetadata|finish_reason|finishReason|stop_reason|error)"\s*:\s*["{]|"message_stop"|\[DONE\]'
)

# The texts of a stream that are output, in all formats that are read here.
_OUTPUT = re.compile(
    rb'"(?:content|text|reasoning_content|reasoning|thinking|arguments|partial_json|refusal|delta)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*)"'
)

# Anthropic's words in OpenAI's. https://docs.anthropic.com/en/api/handling-stop-reasons
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    # https://ai.google.dev/api/generate-content#FinishReason
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    # https://platform.openai.com/docs/api-reference/responses/object
    "max_output_tokens": "length",
    # https://docs.cohere.com/v1/reference/chat
    "COMPLETE": "stop",
    "ERROR_TOXIC": "content_filter",
}

_RESPONSE_ENDS = ("response.completed", "response.incomplete", "response.failed")

_OUTPUT_KEYS = (
    "content",
    "reasoning_content",
    "reasoning",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
)


class Answer:
    """The facts of one answer, gathered as it comes in. Nothing that it is given makes it raise."""

    __slots__ = (
        "_parts",
        "_stated",
        "chunks",
        "ended",
        "error",
        "error_class",
        "events",
        "finish_reason",
        "has_output",
        "response_model",
        "service_tier",
    )

    def __init__(self, keep_output: bool = False) -> None:
        # A stream's output as JSON texts, to be counted should the provider not come to say how much it was.
        self._parts: list[bytes] | None = [] if keep_output else None
        self.response_model: str | None = None
        self.service_tier: str | None = None
        self.finish_reason: str | None = None
        self.error_class: ErrorClass | None = None
        self.has_output = False  # a chunk with output has come
        self.ended = False  # the provider said that its stream is complete
        self.events = 0  # of a stream, that are JSON at all; not all are counted once there is output
        self.error: Any = None  # what the answer says is its error
        self.chunks = 0  # chunks of a known format
        self._stated: dict[str, Any] = {}

    def read_whole(self, body: Any) -> None:
        """Take in the decoded JSON of an answer that is no stream."""
        body = mapping(body)
        if body.get("error"):
            self.error_class = classify(_status_of(body["error"]), body)
        self._read_facts(body)
        for choice in _listed(body, "choices")[:1]:
            self._finish(choice.get("finish_reason"))
        for candidate in _listed(body, "candidates")[:1]:
            self._finish(candidate.get("finishReason"))
        self._finish(body.get("stop_reason") or body.get("stopReason") or body.get("finish_reason"))
        if body.get("object") == "response":
            self._finish_response(body)

    def read_lines(self, lines: bytes) -> None:
        """Take in whole lines of a stream of server-sent events."""
        if self._parts is not None:
            # An event that ends a part of an answer of the Responses API says all of the part once more.
            news = [line for line in lines.split(b"\n") if b'.done"' not in line]
            self._parts += _OUTPUT.findall(b"\n".join(news))
        start = 0
        while start < len(lines):
            if self.has_output:
                # From the first output on, only lines that tell something else matter.
                found = _TELLING.search(lines, start)
                if found is None:
                    return
                start = max(lines.rfind(b"\n", start, found.start()) + 1, start)
            end = lines.find(b"\n", start)
            end = len(lines) if end < 0 else end
            self._read_line(lines[start:end])
            start = end + 1

    def _read_line(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            data = line[5:].strip()
        elif line.startswith(b"{") and b'"event_type"' in line:  # Cohere's streams are lines of JSON
            data = line
        else:
            return
        if data == b"[DONE]":
            self.ended = True
            return
        try:
            event = json.loads(data)
        except ValueError:
            return
        if not isinstance(event, dict):
            return
        self.events += 1
        if event.get("error"):
            self.error = event
            self.error_class = classify(_status_of(event["error"]), event)
        if isinstance(event.get("choices"), list):
            self._read_openai_chunk(event)
        elif isinstance(event.get("candidates"), list) or "usageMetadata" in event:
            self._read_gemini_event(event)
        elif isinstance(event.get("event_type"), str):
            self._read_cohere_event(event)
        elif isinstance(kind := event.get("type"), str):
            if kind.startswith("response."):
                self._read_responses_event(kind, event)
            else:
                self._read_anthropic_event(event)

    def count_output(self, model: str | None) -> int | None:
        """Return how many tokens a stream has put out so far; None without the model's tokenizer."""
        if self._parts is None:
            return None
        try:
            text = "".join(json.loads(b'"' + part + b'"') for part in self._parts)
        except ValueError:
            return None
        return tokenizer.count(model, text)

    def usage(self, provider: str | None) -> Usage:
        """Return the tokens that the provider has stated so far."""
        return normalise(self._stated, provider) if self._stated else UNKNOWN

    def _read_openai_chunk(self, chunk: Mapping[str, Any]) -> None:
        self.chunks += 1
        self._read_facts(chunk)
        for choice in _listed(chunk, "choices"):
            delta = mapping(choice.get("delta"))
            self.has_output = (
                self.has_output or bool(choice.get("text")) or any(delta.get(key) for key in _OUTPUT_KEYS)
            )
            if choice.get("index", 0) == 0:
                self._finish(choice.get("finish_reason"))

    def _read_anthropic_event(self, event: Mapping[str, Any]) -> None:
        # https://docs.anthropic.com/en/api/messages-streaming
        self.chunks += 1
        match event["type"]:
            case "message_start":
                message = mapping(event.get("message"))
                self._read_facts(message)
                # Not yet the count of the output, though it is called so.
                self._stated.pop("output_tokens", None)
            case "content_block_start" if mapping(event.get("content_block")).get("type") == "tool_use":
                self.has_output = True
            case "content_block_delta":
                self.has_output = True
            case "message_delta":
                self._read_facts(event)
                self._finish(mapping(event.get("delta")).get("stop_reason"))
            case "message_stop":
                self.ended = True

    def _read_gemini_event(self, event: Mapping[str, Any]) -> None:
        # https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
        self.chunks += 1
        self._read_facts(event)
        for candidate in _listed(event, "candidates")[:1]:
            self.has_output = self.has_output or bool(_listed(mapping(candidate.get("content")), "parts"))
            self._finish(candidate.get("finishReason"))

    def _read_cohere_event(self, event: Mapping[str, Any]) -> None:
        # https://docs.cohere.com/v1/reference/chat-stream
        self.chunks += 1
        self.has_output = self.has_output or bool(event.get("text"))
        if event["event_type"] == "stream-end":
            self.ended = True
            self._read_facts(mapping(event.get("response")))
            self._finish(event.get("finish_reason"))

    def read_converse_event(self, event: Any) -> None:
        """Take in one decoded event of a stream of Bedrock's Converse API."""
        # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
        event = mapping(event)
        self.chunks += 1
        if "contentBlockDelta" in event or "toolUse" in mapping(
            mapping(event.get("contentBlockStart")).get("start")
        ):
            self.has_output = True
        self._finish(mapping(event.get("messageStop")).get("stopReason"))
        self._read_facts(mapping(event.get("metadata")))

    def _read_responses_event(self, kind: str, event: Mapping[str, Any]) -> None:
        # https://platform.openai.com/docs/api-reference/responses-streaming
        self.chunks += 1
        if kind.endswith(".delta"):
            self.has_output = True
        response = mapping(event.get("response"))
        if response:
            self._read_facts(response)
        if kind in _RESPONSE_ENDS:
            self.ended = True
            self._finish_response(response)

    def _finish_response(self, response: Mapping[str, Any]) -> None:
        """Put the state of an answer of the Responses API in the words of a chat's finish reason."""
        if response.get("error"):
            self.error_class = classify(500, response)
        reason = mapping(response.get("incomplete_details")).get("reason")
        if reason is not None:
            self._finish(reason)
        elif response.get("status") == "completed":
            output = response.get("output")
            parts = output if isinstance(output, list) else []
            called = any(mapping(part).get("type") == "function_call" for part in parts)
            self._finish("tool_calls" if called else "stop")

    def _read_facts(self, part: Mapping[str, Any]) -> None:
        # Groq puts it elsewhere in a stream. https://console.groq.com/docs/api-reference#chat-create
        # Of Cohere's two counts, this is the one that is paid. https://docs.cohere.com/v1/reference/chat
        stated = mapping(
            part.get("usage")
            or part.get("usageMetadata")
            or mapping(part.get("x_groq")).get("usage")
            or mapping(part.get("meta")).get("billed_units")
            or part.get("token_count")
        )
        # Anthropic spreads its counts over two events; a null does not take back what came before.
        self._stated.update({key: value for key, value in stated.items() if value is not None})
        model = part.get("model") or part.get("modelVersion")
        if isinstance(model, str) and model:
            self.response_model = fitting("response_model", model)
        tier = part.get("service_tier") or stated.get("service_tier")
        if isinstance(tier, str) and tier:
            self.service_tier = fitting("service_tier", tier)

    def _finish(self, reason: Any) -> None:
        if isinstance(reason, str) and reason:
            self.finish_reason = fitting("finish_reason", _FINISH_REASONS.get(reason, reason))


def _listed(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list of an answer."""
    found = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _status_of(error: Any) -> int:
    """Return the HTTP status that an error inside an answer names, or would have come with."""
    code = mapping(error).get("code")
    if isinstance(code, int) and 400 <= code < 600:
        return code
    return 429 if is_quota({"error": error}) else 500
