"""POST /v1beta/models/NAME:generateContent and :streamGenerateContent of Gemini.

https://ai.google.dev/api/generate-content
"""

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, replies, tokens, tools
from gateway_eval.emulator.answer import Answer, Usage, compose
from gateway_eval.emulator.call import Call, decode, encode, stop_list, whole_number
from gateway_eval.emulator.errors import Dialect, asked_for, invalid

_FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}

Content = dict[str, Any]


class GenerateContentCall(Call):
    """One call, parsed and answered. The path names the model."""

    id_prefix: ClassVar[bytes] = b"gemini-"
    streamed: ClassVar[bool] = False

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or ""
        self.stream = self.streamed
        contents = _contents(request)
        said = [_text(content) for content in contents if content.get("role", "user") == "user"]
        self.directives = directive.parse(said[-1] if said else "", fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        settings = _object(request, "generationConfig", "generation_config")
        thinking = _object(settings, "thinkingConfig", "thinking_config")
        text, tool = _say(request, settings, contents, said, self.directives)
        self._answer = compose(
            text,
            self.directives,
            model=self.model,
            input_tokens=count_input(request),
            limit=whole_number(settings, "maxOutputTokens"),
            stops=stop_list(settings.get("stopSequences")),
            tool=tool,
            thinks=False if thinking.get("thinkingBudget") == 0 else None,
        )
        self._choices = whole_number(settings, "candidateCount", high=8) or 1
        self.usage = self._answer.usage.times(self._choices)
        self._served = models.snapshot(self.model)
        self._rest = b"" if self.stream else encode(self._document())[1:]
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:  # noqa: ARG002 (there is no time in it)
        """Return the JSON body."""
        return b'{"responseId":"%b",%b' % (answer_id, self._rest)

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:  # noqa: ARG002 (the same)
        """Yield one event a token; there is no event that marks the end."""
        head = b'data: {"responseId":"%b",' % answer_id
        for rest, count in self._chunks:
            yield head + rest, count

    def _document(self) -> dict[str, Any]:
        answer = self._answer
        parts = [_part(answer)] if answer.pieces or answer.tool is not None else []
        finish = _FINISH.get(answer.finish, "STOP")
        document: dict[str, Any] = {
            "candidates": [
                {"content": {"parts": parts, "role": "model"}, "finishReason": finish, "index": index}
                for index in range(self._choices)
            ],
            "modelVersion": self._served,
        }
        if "no_usage" not in self.directives.shapes:
            document["usageMetadata"] = _usage(self.usage, self.usage.output_tokens)
        return document

    def _prepare_chunks(self) -> Iterator[tuple[bytes, int]]:
        answer = self._answer
        # A call of a tool comes in one piece. Thinking comes before the first word.
        parts = [(_part(answer), len(answer.pieces))] if answer.tool is not None else []
        parts = parts or [({"text": piece}, 1) for piece in answer.pieces] or [({"text": ""}, 0)]
        sent = unseen = answer.usage.reasoning_tokens + answer.usage.output_audio_tokens
        for number, (part, count) in enumerate(parts):
            sent += count
            last = number == len(parts) - 1
            for index in range(self._choices):
                candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": index}
                if last:
                    candidate["finishReason"] = _FINISH.get(answer.finish, "STOP")
                chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": self._served}
                if "no_usage" not in self.directives.shapes:
                    total = sent * (index + 1) + (sent - count) * (self._choices - index - 1)
                    chunk["usageMetadata"] = _usage(self.usage, total)
                yield encode(chunk)[1:] + b"\n\n", count + (0 if number else unseen)


class StreamGenerateContentCall(GenerateContentCall):
    """The same, streamed."""

    streamed: ClassVar[bool] = True


def count_tokens(body: bytes) -> bytes:
    """Return the answer of :countTokens. Raises ProviderError for a wrong request."""
    request = decode(body)
    inner = request.get("generateContentRequest")
    return encode({"totalTokens": count_input(inner if isinstance(inner, dict) else request)})


def count_input(request: dict[str, Any]) -> int:
    """Return the input tokens of a request, by the rule for chats."""
    said: list[Content] = [
        {"role": content.get("role", "user"), "content": _text(content)} for content in _contents(request)
    ]
    if instruction := _text(_object(request, "systemInstruction", "system_instruction")):
        said.append({"role": "system", "content": instruction})
    return tokens.count_chat(said) + tokens.count_tools(request.get("tools"))


def _usage(usage: Usage, output: int) -> dict[str, Any]:
    """Return tokens as Gemini states them: thoughts are not among the candidates' tokens.

    `output` counts those that were sent so far.
    """
    prompt = [{"modality": "TEXT", "tokenCount": usage.input_tokens - usage.input_audio_tokens}]
    if usage.input_audio_tokens:
        prompt.append({"modality": "AUDIO", "tokenCount": usage.input_audio_tokens})
    stated: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(output - usage.reasoning_tokens, 0),
        "totalTokenCount": usage.input_tokens + output,
        "promptTokensDetails": prompt,
    }
    if usage.cached_input_tokens:
        stated["cachedContentTokenCount"] = usage.cached_input_tokens
    if usage.reasoning_tokens:
        stated["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.output_audio_tokens:
        stated["candidatesTokensDetails"] = [{"modality": "AUDIO", "tokenCount": usage.output_audio_tokens}]
    return stated


def _part(answer: Answer) -> dict[str, Any]:
    if answer.tool is None:
        return {"text": answer.text}
    try:
        arguments = json.loads(answer.text)
    except ValueError:  # cut by maxOutputTokens
        arguments = {}
    return {"functionCall": {"name": answer.tool, "args": arguments}}


def _contents(request: dict[str, Any]) -> list[Content]:
    contents = request.get("contents")
    if isinstance(contents, dict):
        contents = [contents]
    if not isinstance(contents, list) or not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified")
    for content in contents:
        if not isinstance(content, dict) or not isinstance(content.get("parts"), list | dict):
            raise invalid("* GenerateContentRequest.contents: contents.parts must not be empty.")
        if content.get("role", "user") not in ("user", "model", "function"):
            raise invalid("Please use a valid role: user, model.")
    return contents


def _parts(content: Content) -> list[dict[str, Any]]:
    parts = content.get("parts")
    found = [parts] if isinstance(parts, dict) else parts if isinstance(parts, list) else []
    return [part for part in found if isinstance(part, dict)]


def _text(content: Content) -> str:
    return "".join(part["text"] for part in _parts(content) if isinstance(part.get("text"), str))


def _object(request: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return an optional object of the request, which may be written in either of two ways."""
    found = next((request[name] for name in names if name in request), None)
    return found if isinstance(found, dict) else {}


def _say(
    request: dict[str, Any],
    settings: dict[str, Any],
    contents: list[Content],
    said: list[str],
    directives: directive.Directives,
) -> tuple[str, str | None]:
    """Return the text of the answer, and the tool that it is the arguments of."""
    for part in _parts(contents[-1]):
        if isinstance(result := part.get("functionResponse"), dict):
            return f"The tool returned: {json.dumps(result.get('response'))}", None
    question = directive.strip(said[-1]) if said else ""
    offered = request.get("tools")
    named = [
        (str(function.get("name")), function.get("parameters") or function.get("parametersJsonSchema"))
        for tool in (offered if isinstance(offered, list) else ())
        if isinstance(tool, dict)
        for function in tool.get("functionDeclarations") or ()
        if isinstance(function, dict)
    ]
    wanted = directives.tool_call
    calling = _object(_object(request, "toolConfig", "tool_config"), "functionCallingConfig")
    if calling.get("mode") == "ANY":
        allowed = calling.get("allowedFunctionNames") or [""]
        wanted = wanted or str(allowed[0])
    if tool := tools.chosen(named, wanted):
        return json.dumps(tools.example(tool[1], question)), tool[0]
    text = replies.reply([directive.strip(one) for one in said])
    if settings.get("responseMimeType") == "application/json":
        schema = settings.get("responseSchema") or settings.get("responseJsonSchema")
        return json.dumps(tools.example(schema, text) if schema else {"answer": text}), None
    return text, None
