"""POST /v1/completions of OpenAI: the older way, a prompt instead of messages.

https://platform.openai.com/docs/api-reference/completions
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from gateway_eval.emulator import directives as directive
from gateway_eval.emulator import models, replies, tokens
from gateway_eval.emulator.answer import Answer, Usage, compose
from gateway_eval.emulator.call import Call, decode, encode, missing, stop_list, text_field, whole_number
from gateway_eval.emulator.errors import Dialect, asked_for, invalid

# What the API documents for a call that names no limit.
_DEFAULT_LIMIT = 16


class CompletionCall(Call):
    """One completion call, parsed and answered."""

    id_prefix: ClassVar[bytes] = b"cmpl-"

    def __init__(self, body: bytes, dialect: Dialect, deployment: str | None, fault: str | None) -> None:
        request = decode(body)
        self.dialect = dialect
        self.model = deployment or text_field(request, "model")
        if request.get("prompt") is None:
            raise missing("prompt")
        prompts = tokens.of_prompts(request["prompt"])
        if prompts is None:
            raise invalid("'prompt' must be a string, an array of strings, or an array of tokens.", "prompt")
        self.directives = directive.parse(prompts[-1][0], fault)
        if error := asked_for(self.directives, dialect, self.model):
            raise error
        limit = whole_number(request, "max_tokens", low=0)
        choices = whole_number(request, "n", high=128) or 1
        self.stream = request.get("stream") is True
        options = request.get("stream_options")
        asked_for_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._usage_event = asked_for_usage and "no_usage" not in self.directives.shapes
        answers = [
            compose(
                _continue(text, echo=request.get("echo") is True),
                self.directives,
                model=self.model,
                input_tokens=count,
                limit=_DEFAULT_LIMIT if limit is None else limit,
                stops=stop_list(request.get("stop")),
                thinks=False,
            )
            for text, count in prompts
        ]
        self._answers = [answer for answer in answers for _ in range(choices)]
        self.usage = Usage(
            sum(answer.usage.input_tokens for answer in answers),
            sum(answer.usage.output_tokens for answer in self._answers),
            cached_input_tokens=sum(answer.usage.cached_input_tokens for answer in answers),
        )
        self._served = models.snapshot(self.model)
        self._rest = b"" if self.stream else b"," + encode(self._document())[1:]
        self._chunks = list(self._prepare_chunks()) if self.stream else []

    def whole(self, answer_id: bytes, created: bytes) -> bytes:
        """Return the JSON body."""
        return b'{"id":"%b","object":"text_completion","created":%b%b' % (answer_id, created, self._rest)

    def events(self, answer_id: bytes, created: bytes) -> Iterator[tuple[bytes, int]]:
        """Yield one event a token, the end, the usage where it was asked for, and `[DONE]`."""
        head = b'data: {"id":"%b","object":"text_completion","created":%b' % (answer_id, created)
        for rest, count in self._chunks:
            yield head + rest, count
        yield b"data: [DONE]\n\n", 0

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "model": self._served,
            "choices": [
                {"text": answer.text, "index": index, "logprobs": None, "finish_reason": _finish(answer)}
                for index, answer in enumerate(self._answers)
            ],
        }
        if "no_usage" not in self.directives.shapes:
            document["usage"] = _usage(self.usage)
        return document

    def _prepare_chunks(self) -> Iterator[tuple[bytes, int]]:
        head = b"," + encode({"model": self._served})[1:-1] + b',"choices":['
        tail = b'],"usage":null}\n\n' if self._usage_event else b"]}\n\n"
        for index, answer in enumerate(self._answers):
            for piece in answer.pieces:
                choice = {"text": piece, "index": index, "logprobs": None, "finish_reason": None}
                yield head + encode(choice) + tail, 1
            end = {"text": "", "index": index, "logprobs": None, "finish_reason": _finish(answer)}
            yield head + encode(end) + tail, 0
        if self._usage_event:
            yield head + b'],"usage":%b}\n\n' % encode(_usage(self.usage)), 0


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _continue(prompt: str, *, echo: bool) -> str:
    question = directive.strip(prompt)
    return (question if echo else "") + "\n\n" + replies.reply([question])


def _finish(answer: Answer) -> str:
    return "stop" if answer.finish == "stop_sequence" else answer.finish
