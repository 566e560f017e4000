"""One chat call: what is sent, and what its answer, whole or streamed, says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gateway_eval.failure import CallError, Failure, FailureClass, from_answer, from_error_body
from gateway_eval.http_client import Answer, HttpClient
from gateway_eval.sse import events
from gateway_eval.target import Api, Endpoint, Target


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of a call as its provider counted them; None is unknown. Totals include their parts."""

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None


@dataclass
class ChatOutcome:
    """What is known of a call when it has ended, however it ended. Times in milliseconds; None is unknown.

    Header names are in lower case. `operation` is None for a call that is none of a model's.
    """

    stream: bool
    operation: str | None = "chat"
    http_status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    output: str | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    provider_cost_usd: Decimal | None = None
    duration_ms: float | None = None
    time_to_first_token_ms: float | None = None
    failure: Failure | None = None
    _parts: list[str] = field(default_factory=list, repr=False)
    _on_text: Callable[[str], None] | None = field(default=None, repr=False)

    def add_text(self, text: str) -> None:
        """Take a piece of the answer's text."""
        self._parts.append(text)
        if self._on_text is not None:
            self._on_text(text)


def chat(
    client: HttpClient,
    target: Target,
    endpoint: Endpoint,
    messages: list[dict[str, Any]],
    *,
    stream: bool = False,
    parameters: dict[str, Any] | None = None,
    on_text: Callable[[str], None] | None = None,
) -> ChatOutcome:
    """Make one chat call, once. A failure is part of the outcome; nothing is raised for it.

    `on_text` is given each piece of the answer's text as it arrives.
    """
    body: dict[str, Any] = {**(parameters or {}), "messages": messages}
    if stream:
        body["stream"] = True
    if target.api is Api.OPENAI:
        body["model"] = endpoint.name
        if stream:  # MLflow asks its providers by itself, and would hand this on to those that refuse it
            body.setdefault("stream_options", {"include_usage": True})
    outcome = ChatOutcome(stream)
    outcome._on_text = on_text
    try:
        with client.call("POST", target.chat_path(endpoint), body) as answer:
            note_head(outcome, answer)
            try:
                _read(outcome, answer)
            finally:
                outcome.duration_ms = round(answer.elapsed_ms(), 1)
    except CallError as error:
        outcome.failure = error.failure
    if outcome._parts:
        outcome.output = "".join(outcome._parts)
    return outcome


def note_head(outcome: ChatOutcome, answer: Answer) -> None:
    """Take what stands in an answer's head."""
    outcome.http_status = answer.status
    outcome.headers = answer.headers
    outcome.request_id = answer.headers.get("x-request-id")
    outcome.provider_cost_usd = _decimal(answer.headers.get("x-litellm-response-cost"))


def _read(outcome: ChatOutcome, answer: Answer) -> None:
    if answer.status >= 300:
        raise CallError(from_answer(answer.status, answer.headers, answer.json_or_text()))
    if not outcome.stream:
        _read_body(outcome, answer.json())
    elif "text/event-stream" in answer.headers.get("content-type", ""):
        _read_stream(outcome, answer)
    else:
        body = answer.json()
        if isinstance(body, dict) and body.get("error"):
            raise CallError(from_error_body(body, answer.status))
        raise CallError(
            _protocol(
                "asked for a stream, the host sent one whole answer",
                answer.status,
                "Set stream to false for this endpoint.",
            )
        )


def _read_body(outcome: ChatOutcome, body: Any) -> None:
    if isinstance(body, dict) and body.get("error"):
        raise CallError(from_error_body(body, outcome.http_status or 200))
    choice = _first_choice(body)
    message = choice.get("message") if choice else None
    if not isinstance(message, dict):
        raise CallError(_protocol("the answer has no choices[0].message", outcome.http_status))
    note_body(outcome, body)
    content = _content(message.get("content"))
    if content is not None:
        outcome.add_text(content)
    outcome.finish_reason = _text(choice, "finish_reason")


def _read_stream(outcome: ChatOutcome, answer: Answer) -> None:
    """Read events to the end.

    OpenAI ends a stream with `[DONE]`, MLflow without: a stream is whole if it has that or a finish reason.
    """
    done = False
    try:
        for event, data in _documents(outcome, answer):
            if event == "[DONE]":
                done = True
            elif isinstance(data, dict) and data.get("error"):
                raise CallError(from_error_body(data, answer.status))
            elif isinstance(data, dict):
                _read_event(outcome, data, answer)
            else:
                raise CallError(_protocol("an event of the stream is not a JSON object", answer.status))
    except CallError as error:
        if error.failure.failure_class is FailureClass.NETWORK:
            raise CallError(_cut(outcome, "the connection broke")) from error
        raise
    if not done and outcome.finish_reason is None:
        raise CallError(_cut(outcome, "it ended without a finish reason"))


def _documents(outcome: ChatOutcome, answer: Answer) -> Iterator[tuple[str, Any]]:
    """Yield each event as text and decoded. A broken one is a cut if nothing follows it, else no protocol."""
    broken = False
    for event in events(answer.chunks()):
        if broken:
            raise CallError(_protocol("an event of the stream is not JSON", answer.status))
        if event == "[DONE]":
            yield event, None
            continue
        try:
            data = json.loads(event)
        except (ValueError, RecursionError):
            broken = True
            continue
        yield event, data
    if broken:
        raise CallError(_cut(outcome, "it ended inside an event"))


def _read_event(outcome: ChatOutcome, data: dict[str, Any], answer: Answer) -> None:
    note_body(outcome, data)
    choice = _first_choice(data)
    if choice is None:
        return
    raw_delta = choice.get("delta")
    delta: dict[str, Any] = raw_delta if isinstance(raw_delta, dict) else {}
    content = _content(delta.get("content"))
    if content:
        outcome.add_text(content)
    has_output = content or any(
        delta.get(key) for key in ("reasoning_content", "reasoning", "tool_calls", "refusal")
    )
    if has_output and outcome.time_to_first_token_ms is None:
        outcome.time_to_first_token_ms = round(answer.elapsed_ms(), 1)
    outcome.finish_reason = _text(choice, "finish_reason") or outcome.finish_reason


def note_body(outcome: ChatOutcome, body: dict[str, Any]) -> None:
    """Take what stands beside the choices, from a whole answer or from an event."""
    outcome.response_model = _text(body, "model") or outcome.response_model
    outcome.service_tier = _text(body, "service_tier") or outcome.service_tier
    usage = body.get("usage")
    if isinstance(usage, dict):
        outcome.usage = read_usage(usage)
        # OpenRouter states what a call cost: https://openrouter.ai/docs/use-cases/usage-accounting
        outcome.provider_cost_usd = _decimal(usage.get("cost")) or outcome.provider_cost_usd


def read_usage(usage: dict[str, Any]) -> TokenUsage:
    """Return a `usage` object of OpenAI's or Anthropic's shape, with what MLflow and others add to it.

    https://platform.openai.com/docs/api-reference/responses/object https://docs.anthropic.com/en/api/messages
    """

    def count(*path: str) -> int | None:
        value: Any = usage
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def first(*paths: tuple[str, ...]) -> int | None:
        return next((found for path in paths if (found := count(*path)) is not None), None)

    total = first(("prompt_tokens",), ("input_tokens",))
    cached = first(
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("cache_read_input_tokens",),
    )
    written = first(("cache_creation_input_tokens",), ("prompt_tokens_details", "cache_write_tokens"))
    if total is not None and "prompt_tokens" not in usage and "input_tokens_details" not in usage:
        # Anthropic counts only what is neither read from the cache nor written to it.
        total += (cached or 0) + (written or 0)
    return TokenUsage(
        input_tokens=total,
        cached_input_tokens=cached,
        cache_write_tokens=written,
        output_tokens=first(("completion_tokens",), ("output_tokens",)),
        reasoning_tokens=first(
            ("completion_tokens_details", "reasoning_tokens"), ("output_tokens_details", "reasoning_tokens")
        ),
        input_audio_tokens=count("prompt_tokens_details", "audio_tokens"),
        output_audio_tokens=count("completion_tokens_details", "audio_tokens"),
    )


def _first_choice(body: Any) -> dict[str, Any] | None:
    choices = body.get("choices") if isinstance(body, dict) else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _content(content: Any) -> str | None:
    """Return the text of a message, which may come in parts; None where it has none, as with tool calls."""
    if isinstance(content, list):
        texts = [
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        ]
        return "".join(texts) if texts else None
    return content if isinstance(content, str) else None


def _text(entry: dict[str, Any] | None, key: str) -> str | None:
    value = entry.get(key) if entry else None
    return value if isinstance(value, str) and value else None


def _decimal(value: Any) -> Decimal | None:
    """Return a stated cost; None for anything that is no plain amount.

    LiteLLM states what it worked out in binary fractions, such as 4.6499999999999995e-06: what is beyond 18
    decimals is dust, and no price book has more.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return round(amount, 18).normalize() if amount.is_finite() and 0 <= amount < 10**9 else None


def _protocol(message: str, status: int | None, advice: str | None = None) -> Failure:
    return Failure.of(FailureClass.PROTOCOL, message, advice=advice, http_status=status)


def _cut(outcome: ChatOutcome, how: str) -> Failure:
    return Failure.of(
        FailureClass.STREAM_CUT,
        f"the stream was cut after {sum(map(len, outcome._parts))} characters of output: {how}",
        http_status=outcome.http_status,
    )
