"""Usage in answers that are not in OpenAI's or Anthropic's words, as their providers document them."""

import asyncio
import json
from typing import Any

import pytest

from gateway_serve import bedrock
from gateway_serve.answer import Answer
from gateway_serve.call import Call, current_call
from gateway_serve.endpoints import Endpoint
from gateway_serve.usage import Usage, normalise

GEMINI_USAGE = {
    "promptTokenCount": 120,
    "cachedContentTokenCount": 100,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 157,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 115},
        {"modality": "AUDIO", "tokenCount": 5},
    ],
}
GEMINI = {
    "candidates": [
        {"content": {"parts": [{"text": "Ada"}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
    ],
    "usageMetadata": GEMINI_USAGE,
    "modelVersion": "gemini-2.5-flash-001",
}
COUNTED = Usage(
    input_tokens=120,
    cached_input_tokens=100,
    output_tokens=37,
    reasoning_tokens=30,
    input_audio_tokens=5,
)


def streamed(*events: Any) -> Answer:
    answer = Answer()
    for event in events:
        answer.read_lines(b"data: " + json.dumps(event).encode() + b"\r\n\r\n")
    return answer


def whole(body: Any) -> Answer:
    answer = Answer()
    answer.read_whole(body)
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        whole(GEMINI),
        streamed(
            {
                "candidates": [{"content": {"parts": [{"text": "A"}]}}],
                "usageMetadata": {"promptTokenCount": 120},
            },
            GEMINI,
        ),
    ],
    ids=["whole", "streamed"],
)
def test_gemini(answer: Answer) -> None:
    assert answer.usage("gemini") == COUNTED
    assert (answer.response_model, answer.finish_reason) == ("gemini-2.5-flash-001", "length")


def test_gemini_without_an_answer_still_counts_its_thoughts() -> None:
    usage = {"promptTokenCount": 8, "thoughtsTokenCount": 50, "toolUsePromptTokenCount": 4}
    assert normalise(usage) == Usage(input_tokens=12, output_tokens=50, reasoning_tokens=50)


def test_groq_has_its_usage_beside_the_last_chunk() -> None:
    last = {
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "x_groq": {"id": "r", "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}},
    }
    answer = streamed({"choices": [{"index": 0, "delta": {"content": "a"}}]}, last)
    assert answer.usage("groq") == Usage(input_tokens=9, output_tokens=3)


@pytest.mark.parametrize(("total", "output"), [(135, 103), (41, 9), (None, 9)])
def test_xai_counts_reasoning_beside_the_output(total: int | None, output: int) -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    assert normalise(usage, "xai") == Usage(input_tokens=32, output_tokens=output, reasoning_tokens=94)


CONVERSE_USAGE = {
    "inputTokens": 10,
    "outputTokens": 5,
    "totalTokens": 135,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 20,
}
CONVERSE_COUNTED = Usage(input_tokens=130, cached_input_tokens=100, cache_write_tokens=20, output_tokens=5)


class Client:
    """What boto3 would be, with one answer."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def converse(self, **_request: Any) -> Any:
        if self._error is not None:
            raise self._error
        message = {"role": "assistant", "content": [{"text": "Ada"}]}
        return {"output": {"message": message}, "stopReason": "max_tokens", "usage": CONVERSE_USAGE}

    def converse_stream(self, **_request: Any) -> Any:
        if self._error is not None:
            raise self._error
        events = [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "Ada"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": CONVERSE_USAGE}},
        ]
        return {"stream": events}


async def ask(client: Client, stream: bool) -> dict[str, Any]:
    """Let MLflow's provider ask Bedrock, and return the record."""
    from mlflow.gateway.config import EndpointConfig
    from mlflow.gateway.providers.bedrock import AmazonBedrockProvider
    from mlflow.gateway.schemas import chat

    bedrock.install()
    model = {
        "provider": "bedrock",
        "name": "anthropic.claude-3",
        "config": {"aws_config": {"aws_region": "x"}},
    }
    provider = AmazonBedrockProvider(
        EndpointConfig(name="claude", endpoint_type="llm/v1/chat", model=model)  # type: ignore[arg-type]
    )
    provider.get_bedrock_client = lambda: client  # type: ignore[method-assign]
    payload = chat.RequestPayload(messages=[{"role": "user", "content": "hello"}])  # type: ignore[list-item]
    call = Call("id-1", "127.0.0.1")
    call.stream = stream
    call.chosen = Endpoint("claude", "chat", "bedrock", "anthropic.claude-3")
    token = current_call.set(call)
    try:
        if stream:
            assert [chunk async for chunk in provider.chat_stream(payload)]
        else:
            await provider.chat(payload)
        call.status, call.complete = 200, True
    except Exception as error:
        call.status, call.complete = getattr(error, "status_code", 500), True
    finally:
        current_call.reset(token)
    (record,) = call.records()
    return record


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock(stream: bool) -> None:
    record = asyncio.run(ask(Client(), stream))
    assert [record[name] for name in ("input_tokens", "cached_input_tokens", "cache_write_tokens")] == [
        130,
        100,
        20,
    ]
    assert (record["output_tokens"], record["usage_source"]) == (5, "provider")
    assert (record["finish_reason"], record["error_class"]) == ("stop" if stream else "length", None)
    assert (record["time_to_first_token_ms"] is not None) is stream
    assert record["upstream_ms"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_bedrocks_errors(stream: bool) -> None:
    from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

    throttled = ClientError(
        {
            "Error": {"Code": "ThrottlingException", "Message": "Too many requests."},
            "ResponseMetadata": {"HTTPStatusCode": 429},  # type: ignore[typeddict-item]
        },
        "Converse",
    )
    for error, status, error_class in (
        (throttled, 429, "rate_limit"),
        (ReadTimeoutError(endpoint_url="https://inner"), 504, "timeout"),
        (EndpointConnectionError(endpoint_url="https://inner"), 502, "network"),
    ):
        record = asyncio.run(ask(Client(error), stream))
        assert (record["http_status"], record["error_class"]) == (status, error_class)
        assert record["provider"] == "bedrock"


def test_converse_over_http() -> None:
    body = {
        "output": {"message": {"content": [{"text": "x"}]}},
        "stopReason": "end_turn",
        "usage": CONVERSE_USAGE,
    }
    assert whole(body).usage("bedrock") == CONVERSE_COUNTED
