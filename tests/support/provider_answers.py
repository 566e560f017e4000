"""Answers as the providers document them, whole and streamed, and what a record must say of each.

Ids and texts are made up. In `counted`, what is not named must be unknown (null), never 0.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Documented:
    """A documented answer: `body` is a whole one, `events` are those of a stream."""

    name: str
    endpoint: str
    counted: dict[str, Any]
    body: dict[str, Any] | None = None
    events: tuple[bytes, ...] = ()


def data(*documents: dict[str, Any], done: bool = True) -> tuple[bytes, ...]:
    """Return server-sent events as OpenAI and those who follow it send them."""
    events = [b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents]
    return (*events, b"data: [DONE]\n\n") if done else tuple(events)


def named(*documents: dict[str, Any]) -> tuple[bytes, ...]:
    """Return server-sent events as Anthropic sends them, with their type in front."""
    return tuple(
        b"event: " + document["type"].encode() + b"\ndata: " + json.dumps(document).encode() + b"\n\n"
        for document in documents
    )


def chat(model: str, usage: Any, **more: Any) -> dict[str, Any]:
    """Return a whole chat answer in OpenAI's form."""
    message = {"role": "assistant", "content": "Hello!", **more.pop("message", {})}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1795437658,
        "model": model,
        "choices": choices,
        "usage": usage,
        **more,
    }


def chunk(model: str, delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk of a stream in OpenAI's form; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1795437658,
        "model": model,
        "choices": choices,
        **more,
    }


def spoken(model: str, *last: dict[str, Any], **more: Any) -> tuple[bytes, ...]:
    """Return a stream of two words in OpenAI's form, then the given chunks."""
    return data(
        chunk(model, {"role": "assistant", "content": ""}, **more),
        chunk(model, {"content": "Hel"}, **more),
        chunk(model, {"content": "lo!"}, **more),
        *last,
    )


# https://platform.openai.com/docs/api-reference/chat/object
_OPENAI_USAGE = {
    "prompt_tokens": 1117,
    "completion_tokens": 446,
    "total_tokens": 1563,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 7},
    "completion_tokens_details": {
        "reasoning_tokens": 320,
        "audio_tokens": 5,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
_OPENAI_COUNTED = {
    "input_tokens": 1117,
    "cached_input_tokens": 1024,
    "input_audio_tokens": 7,
    "output_tokens": 446,
    "reasoning_tokens": 320,
    "output_audio_tokens": 5,
    "response_model": "gpt-4o-2024-08-06",
}
_GPT = "gpt-4o-2024-08-06"

OPENAI = (
    Documented(
        "openai",
        "openai",
        _OPENAI_COUNTED | {"service_tier": "flex"},
        chat(_GPT, _OPENAI_USAGE, service_tier="flex", system_fingerprint="fp_1"),
    ),
    Documented(
        "openai streamed",
        "openai",
        _OPENAI_COUNTED | {"service_tier": "priority"},
        events=spoken(
            _GPT,
            chunk(_GPT, {}, "stop", service_tier="priority", usage=None),
            chunk(_GPT, usage=_OPENAI_USAGE, service_tier="priority"),
            service_tier="priority",
            usage=None,
        ),
    ),
    Documented(
        "openai without details",
        "openai",
        {"input_tokens": 9, "output_tokens": 12, "response_model": "gpt-3.5-turbo-0125"},
        chat("gpt-3.5-turbo-0125", {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}),
    ),
)

# https://learn.microsoft.com/azure/ai-services/openai/reference#chat-completions
_FILTER = {"hate": {"filtered": False, "severity": "safe"}}
AZURE = (
    Documented(
        "azure",
        "azure",
        _OPENAI_COUNTED,
        chat(
            _GPT,
            _OPENAI_USAGE,
            prompt_filter_results=[{"prompt_index": 0, "content_filter_results": _FILTER}],
        ),
    ),
    Documented(
        "azure streamed",
        "azure",
        _OPENAI_COUNTED,
        events=data(
            chunk("", prompt_filter_results=[{"prompt_index": 0, "content_filter_results": _FILTER}]),
            chunk(_GPT, {"role": "assistant", "content": ""}),
            chunk(_GPT, {"content": "Hello!"}),
            chunk(_GPT, {}, "stop"),
            chunk(_GPT, usage=_OPENAI_USAGE),
        ),
    ),
)

# https://docs.anthropic.com/en/api/messages  https://docs.anthropic.com/en/api/messages-streaming
_CLAUDE = "claude-sonnet-4-5-20250929"
_CLAUDE_USAGE = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 188,
    "cache_read_input_tokens": 4000,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 88},
    "output_tokens": 393,
    "service_tier": "standard",
}
_CLAUDE_COUNTED = {
    "input_tokens": 21 + 188 + 4000,
    "cached_input_tokens": 4000,
    "cache_write_tokens": 188,
    "output_tokens": 393,
    "response_model": _CLAUDE,
    "service_tier": "standard",
}
_CLAUDE_BEGIN = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": _CLAUDE,
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}
_CLAUDE_WORDS = (
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
)
_CLAUDE_END = {"stop_reason": "end_turn", "stop_sequence": None}

ANTHROPIC = (
    Documented(
        "anthropic",
        "anthropic",
        _CLAUDE_COUNTED,
        _CLAUDE_BEGIN
        | {"content": [{"type": "text", "text": "Hello"}], "usage": _CLAUDE_USAGE}
        | _CLAUDE_END,
    ),
    Documented(
        "anthropic streamed",
        "anthropic",
        _CLAUDE_COUNTED,
        events=named(
            {
                "type": "message_start",
                "message": _CLAUDE_BEGIN | {"usage": _CLAUDE_USAGE | {"output_tokens": 1}},
            },
            *_CLAUDE_WORDS,
            {"type": "message_delta", "delta": _CLAUDE_END, "usage": {"output_tokens": 393}},
            {"type": "message_stop"},
        ),
    ),
    Documented(
        "anthropic streamed, all counts repeated at the end",
        "anthropic",
        _CLAUDE_COUNTED,
        events=named(
            {
                "type": "message_start",
                "message": _CLAUDE_BEGIN | {"usage": _CLAUDE_USAGE | {"output_tokens": 1}},
            },
            *_CLAUDE_WORDS,
            {
                "type": "message_delta",
                "delta": _CLAUDE_END,
                "usage": {
                    "input_tokens": 21,
                    "cache_creation_input_tokens": 188,
                    "cache_read_input_tokens": 4000,
                    "output_tokens": 393,
                },
            },
            {"type": "message_stop"},
        ),
    ),
)

# https://console.groq.com/docs/api-reference#chat-create
_LLAMA = "llama-3.3-70b-versatile"
_GROQ_USAGE = {
    "queue_time": 0.037,
    "prompt_tokens": 180,
    "prompt_time": 0.0007,
    "completion_tokens": 556,
    "completion_time": 0.46,
    "total_tokens": 736,
    "total_time": 0.461,
    "prompt_tokens_details": {"cached_tokens": 128},
    "completion_tokens_details": {"reasoning_tokens": 200},
}
_GROQ_COUNTED = {
    "input_tokens": 180,
    "cached_input_tokens": 128,
    "output_tokens": 556,
    "reasoning_tokens": 200,
    "response_model": _LLAMA,
}
GROQ = (
    Documented(
        "groq",
        "groq",
        _GROQ_COUNTED | {"service_tier": "on_demand"},
        chat(_LLAMA, _GROQ_USAGE, service_tier="on_demand", x_groq={"id": "req_1"}),
    ),
    Documented(
        "groq streamed",
        "groq",
        _GROQ_COUNTED,
        events=spoken(
            _LLAMA,
            chunk(_LLAMA, {}, "stop", x_groq={"id": "req_1", "usage": _GROQ_USAGE}),
            chunk(_LLAMA, usage=_GROQ_USAGE),
            x_groq={"id": "req_1"},
        ),
    ),
)

# https://api-docs.deepseek.com/api/create-chat-completion
_DEEPSEEK_USAGE = {
    "prompt_tokens": 300,
    "completion_tokens": 90,
    "total_tokens": 390,
    "prompt_cache_hit_tokens": 256,
    "prompt_cache_miss_tokens": 44,
    "completion_tokens_details": {"reasoning_tokens": 70},
}
_DEEPSEEK_COUNTED = {
    "input_tokens": 300,
    "cached_input_tokens": 256,
    "output_tokens": 90,
    "reasoning_tokens": 70,
    "response_model": "deepseek-reasoner",
}
DEEPSEEK = (
    Documented(
        "deepseek",
        "deepseek",
        _DEEPSEEK_COUNTED,
        chat("deepseek-reasoner", _DEEPSEEK_USAGE, message={"reasoning_content": "Let me see."}),
    ),
    Documented(
        "deepseek streamed",
        "deepseek",
        _DEEPSEEK_COUNTED,
        events=data(
            chunk("deepseek-reasoner", {"role": "assistant", "content": None, "reasoning_content": "Hm."}),
            chunk("deepseek-reasoner", {"content": "Hello!"}),
            chunk("deepseek-reasoner", {"content": ""}, "stop", usage=_DEEPSEEK_USAGE),
        ),
    ),
)

# https://openrouter.ai/docs/use-cases/usage-accounting
_ROUTED = "anthropic/claude-sonnet-4.5"
_OPENROUTER_USAGE = {
    "prompt_tokens": 194,
    "completion_tokens": 20,
    "total_tokens": 214,
    "cost": 0.00095,
    "cost_details": {"upstream_inference_cost": None},
    "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 50, "audio_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
_OPENROUTER_COUNTED = {
    "input_tokens": 194,
    "cached_input_tokens": 100,
    "cache_write_tokens": 50,
    "input_audio_tokens": 3,
    "output_tokens": 20,
    "reasoning_tokens": 8,
    "provider_cost_usd": "0.00095",
    "response_model": _ROUTED,
}
OPENROUTER = (
    Documented("openrouter", "openrouter", _OPENROUTER_COUNTED, chat(_ROUTED, _OPENROUTER_USAGE)),
    Documented(
        "openrouter streamed",
        "openrouter",
        _OPENROUTER_COUNTED,
        events=(
            b": OPENROUTER PROCESSING\n\n",
            *spoken(
                _ROUTED,
                chunk(_ROUTED, {"content": ""}, "stop"),
                chunk(_ROUTED, {"role": "assistant", "content": ""}, usage=_OPENROUTER_USAGE),
            ),
        ),
    ),
)

# https://docs.mistral.ai/api/#tag/chat/operation/chat_completion_v1_chat_completions_post
_MISTRAL_USAGE = {"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50}
_MISTRAL_COUNTED = {"input_tokens": 16, "output_tokens": 34, "response_model": "mistral-large-latest"}
MISTRAL = (
    Documented("mistral", "mistral", _MISTRAL_COUNTED, chat("mistral-large-latest", _MISTRAL_USAGE)),
    Documented(
        "mistral streamed",
        "mistral",
        _MISTRAL_COUNTED,
        events=spoken(
            "mistral-large-latest",
            chunk("mistral-large-latest", {"content": ""}, "stop", usage=_MISTRAL_USAGE),
        ),
    ),
)

# https://ai.google.dev/api/generate-content#UsageMetadata: the prompt's count includes the cache's, the
# candidates' leaves out the thoughts.
_GEMINI_USAGE = {
    "promptTokenCount": 500,
    "cachedContentTokenCount": 400,
    "candidatesTokenCount": 60,
    "thoughtsTokenCount": 40,
    "totalTokenCount": 600,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 468},
        {"modality": "AUDIO", "tokenCount": 32},
    ],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 60}],
}
_GEMINI_COUNTED = {
    "input_tokens": 500,
    "cached_input_tokens": 400,
    "input_audio_tokens": 32,
    "output_tokens": 100,
    "output_audio_tokens": 0,
    "reasoning_tokens": 40,
    "response_model": "gemini-2.5-flash",
}


def _candidates(text: str, finish: str | None = None) -> list[dict[str, Any]]:
    found: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    return [found | ({"finishReason": finish} if finish else {})]


GEMINI = (
    Documented(
        "gemini",
        "gemini",
        _GEMINI_COUNTED,
        {
            "candidates": _candidates("Hello!", "STOP"),
            "usageMetadata": _GEMINI_USAGE,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "r1",
        },
    ),
    Documented(
        "gemini streamed",
        "gemini",
        _GEMINI_COUNTED,
        events=data(
            {
                "candidates": _candidates("Hel"),
                "usageMetadata": {"promptTokenCount": 500, "totalTokenCount": 500},
                "modelVersion": "gemini-2.5-flash",
            },
            {
                "candidates": _candidates("lo!", "STOP"),
                "usageMetadata": _GEMINI_USAGE,
                "modelVersion": "gemini-2.5-flash",
            },
            done=False,
        ),
    ),
)

# https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html: inputTokens leaves the cache out.
# It names no model in its answer.
BEDROCK = (
    Documented(
        "bedrock",
        "bedrock",
        {
            "input_tokens": 30 + 100 + 20,
            "cached_input_tokens": 100,
            "cache_write_tokens": 20,
            "output_tokens": 7,
        },
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hello!"}]}},
            "stopReason": "end_turn",
            "usage": {
                "inputTokens": 30,
                "outputTokens": 7,
                "totalTokens": 157,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 20,
            },
            "metrics": {"latencyMs": 1275},
        },
    ),
)

ALL = (*OPENAI, *AZURE, *ANTHROPIC, *GROQ, *DEEPSEEK, *OPENROUTER, *MISTRAL, *GEMINI, *BEDROCK)
