"""MLflow's own providers against the emulator: they call it where they would call the real ones."""

import asyncio

import pytest
from mlflow.gateway.config import EndpointConfig
from mlflow.gateway.providers import get_provider
from mlflow.gateway.schemas import chat, completions, embeddings


def provider(name, model, kind="chat", **config):
    endpoint = EndpointConfig(
        name="endpoint",
        endpoint_type=f"llm/v1/{kind}",
        model={"provider": name, "name": model, "config": config},
    )
    return get_provider(endpoint.model.provider)(endpoint)


@pytest.fixture(params=["openai", "azure", "anthropic"])
def chat_provider(request, emulator):
    match request.param:
        case "openai":
            return provider("openai", "gpt-4o", openai_api_key="k", openai_api_base=emulator.openai_url)
        case "azure":
            return provider(
                "openai",
                "gpt-4o",
                openai_api_type="azure",
                openai_api_key="k",
                openai_api_base=emulator.base_url,
                openai_deployment_name="gpt-4o",
                openai_api_version="2024-10-21",
            )
        case _:
            return provider(
                "anthropic", "claude-haiku-4-5", anthropic_api_key="k", anthropic_api_base=emulator.openai_url
            )


def question(**options):
    return chat.RequestPayload(messages=[{"role": "user", "content": "What is AI?"}], **options)


def test_chat(chat_provider):
    answer = asyncio.run(chat_provider.chat(question(max_tokens=200)))
    assert "artificial intelligence" in answer.choices[0].message.content.lower()
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_a_stream_says_and_costs_what_the_whole_answer_does(chat_provider):
    async def collect():
        return [chunk async for chunk in chat_provider.chat_stream(question(max_tokens=200, stream=True))]

    whole = asyncio.run(chat_provider.chat(question(max_tokens=200)))
    chunks = asyncio.run(collect())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    usage = [chunk.usage for chunk in chunks if chunk.usage][-1]
    assert text == whole.choices[0].message.content
    assert usage.prompt_tokens == whole.usage.prompt_tokens
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_embeddings_and_completions(emulator):
    config = {"openai_api_key": "k", "openai_api_base": emulator.openai_url}
    embedder = provider("openai", "text-embedding-3-small", "embeddings", **config)
    vectors = asyncio.run(embedder.embeddings(embeddings.RequestPayload(input=["one", "two"])))
    assert [len(item.embedding) for item in vectors.data] == [1536, 1536]
    completer = provider("openai", "gpt-3.5-turbo-instruct", "completions", **config)
    answer = asyncio.run(completer.completions(completions.RequestPayload(prompt="Say hello")))
    assert answer.choices[0].text.strip() == "hello"
