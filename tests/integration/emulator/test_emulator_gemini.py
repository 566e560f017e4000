"""Gemini's paths: as MLflow's own provider calls them, and on the wire."""

import asyncio
import json

import pytest
import requests
from mlflow.gateway.config import EndpointConfig
from mlflow.gateway.providers.gemini import GeminiProvider
from mlflow.gateway.schemas import chat, embeddings

from support.emulator import running_emulator

WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture
def call(emulator):
    def call(operation, model="gemini-2.5-flash", key="any", **body):
        return requests.post(
            f"{emulator.base_url}/v1beta/models/{model}:{operation}",
            json=body,
            headers={"x-goog-api-key": key} if key else {},
            timeout=20,
        )

    return call


def says(text, role="user"):
    return {"role": role, "parts": [{"text": text}]}


def ask(text, **more):
    return {"contents": [says(text)], **more}


def text_of(document):
    return "".join(part.get("text", "") for part in document["candidates"][0]["content"]["parts"])


def events(answer):
    lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@pytest.fixture
def provider(emulator, monkeypatch):
    monkeypatch.setattr(GeminiProvider, "base_url", f"{emulator.base_url}/v1beta/models")

    def provider(kind, model):
        model = {"provider": "gemini", "name": model, "config": {"gemini_api_key": "k"}}
        return GeminiProvider(EndpointConfig(name="x", endpoint_type=f"llm/v1/{kind}", model=model))

    return provider


def test_mlflow_chats_whole_and_streamed(provider):
    question = {"messages": [{"role": "user", "content": "What is AI?"}], "max_tokens": 500}

    async def collect():
        stream = provider("chat", "gemini-2.5-flash").chat_stream(
            chat.RequestPayload(**question, stream=True)
        )
        return [chunk async for chunk in stream]

    whole = asyncio.run(provider("chat", "gemini-2.5-flash").chat(chat.RequestPayload(**question)))
    chunks = asyncio.run(collect())
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "artificial intelligence" in said.lower()
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens > 0
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens > 0


def test_mlflow_embeds_one_text_and_several(provider):
    embedder = provider("embeddings", "gemini-embedding-001")
    one = asyncio.run(embedder.embeddings(embeddings.RequestPayload(input="one")))
    two = asyncio.run(embedder.embeddings(embeddings.RequestPayload(input=["one", "two"])))
    assert [len(item.embedding) for item in [*one.data, *two.data]] == [3072] * 3
    assert one.data[0].embedding == two.data[0].embedding


def test_thoughts_are_counted_beside_the_answer(call):
    usage = call("generateContent", **ask("What is AI?")).json()["usageMetadata"]
    assert usage["thoughtsTokenCount"] >= 64
    parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    assert usage["totalTokenCount"] == sum(usage[part] for part in parts)
    settings = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    assert (
        "thoughtsTokenCount" not in call("generateContent", **ask("Hi"), **settings).json()["usageMetadata"]
    )


def test_a_stream_says_and_costs_what_the_whole_answer_does_and_the_witness_agrees(call, emulator):
    whole = call("generateContent", **ask("What is AI?")).json()
    chunks = events(call("streamGenerateContent?alt=sse", **ask("What is AI?")))
    assert "".join(map(text_of, chunks)) == text_of(whole)
    assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    assert len({chunk["responseId"] for chunk in chunks}) == 1
    emulator.wait_until("in_flight == 0")
    streamed, first = emulator.requests(2)
    assert streamed["stream"]
    for name in ("model", "input_tokens", "output_tokens"):
        assert streamed[name] == first[name]
    usage = whole["usageMetadata"]
    assert first["output_tokens"] == usage["candidatesTokenCount"] + usage["thoughtsTokenCount"]


def test_a_conversation_is_remembered(call):
    contents = [says("My name is Alice."), says("Nice to meet you", "model"), says("What is my name?")]
    assert "Alice" in text_of(call("generateContent", contents=contents).json())


def test_a_limit_cuts_the_answer(call):
    settings = {"generationConfig": {"maxOutputTokens": 5}}
    answer = call("generateContent", "gemini-2.0-flash", **ask("What is AI?"), **settings).json()
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["candidatesTokenCount"] == 5


def test_a_tool_is_called_and_its_result_is_used(call):
    tools = {
        "tools": [{"functionDeclarations": [WEATHER]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    for answer in (
        call("generateContent", **ask("Weather in Rome?"), **tools).json(),
        events(call("streamGenerateContent?alt=sse", **ask("Weather in Rome?"), **tools))[0],
    ):
        [part] = answer["candidates"][0]["content"]["parts"]
        assert part["functionCall"] == {"name": "weather", "args": {"city": "Weather in Rome?"}}
    result = {"functionResponse": {"name": "weather", "response": {"degrees": 21}}}
    contents = [says("Weather?"), {"role": "user", "parts": [result]}]
    assert "21" in text_of(call("generateContent", contents=contents).json())


def test_tokens_are_counted_as_they_are_billed(call):
    billed = call("generateContent", **ask("What is AI?")).json()["usageMetadata"]["promptTokenCount"]
    assert call("countTokens", **ask("What is AI?")).json() == {"totalTokens": billed}


def test_models_are_listed(emulator):
    listed = requests.get(f"{emulator.base_url}/v1beta/models?key=any", timeout=20).json()["models"]
    assert "models/gemini-2.5-flash" in [model["name"] for model in listed]


@pytest.mark.parametrize(
    ("directive", "status", "name"),
    [
        ("rate_limit=7", 429, "RESOURCE_EXHAUSTED"),
        ("quota", 429, "RESOURCE_EXHAUSTED"),
        ("server_error", 500, "INTERNAL"),
        ("overloaded", 503, "UNAVAILABLE"),
        ("timeout", 504, "DEADLINE_EXCEEDED"),
        ("not_found", 404, "NOT_FOUND"),
    ],
)
def test_errors_have_geminis_shape(call, directive, status, name):
    answer = call("generateContent", **ask(f"Hi [emulator:{directive}]"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
    assert [detail["retryDelay"] for detail in error.get("details", [])] == (
        ["7s"] if "rate" in directive else []
    )


@pytest.mark.parametrize(
    "body", [{}, {"contents": []}, {"contents": [{"parts": None}]}, ask("x") | {"contents": "x"}]
)
def test_a_wrong_request_is_refused(call, body):
    answer = call("generateContent", **body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_keys_are_asked_for_in_geminis_ways():
    with running_emulator(api_key="right-key") as emulator:
        url = f"{emulator.base_url}/v1beta/models/gemini-2.0-flash:generateContent"
        statuses = [
            requests.post(url + query, json=ask("Hi"), headers=headers, timeout=20).status_code
            for query, headers in [
                ("", {}),
                ("", {"x-goog-api-key": "wrong"}),
                ("", {"x-goog-api-key": "right-key"}),
                ("?key=right-key", {}),
                ("", {"authorization": "Bearer right-key"}),
            ]
        ]
    assert statuses == [403, 400, 200, 200, 200]
