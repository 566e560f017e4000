"""The client libraries that callers use, unmodified."""

import json

import openai
import pytest
from mlflow.deployments import get_deploy_client

from support.gateway import Gateway

MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-caller", max_retries=0, timeout=30)


@pytest.mark.parametrize("endpoint", ["chat", "claude", "azure"])
def test_openai_chat(client: openai.OpenAI, endpoint: str) -> None:
    answer = client.chat.completions.create(model=endpoint, messages=MESSAGES)
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.total_tokens > 0


@pytest.mark.parametrize("endpoint", ["chat", "claude", "azure"])
def test_openai_stream(client: openai.OpenAI, endpoint: str) -> None:
    whole = client.chat.completions.create(model=endpoint, messages=MESSAGES).choices[0].message.content
    chunks = list(client.chat.completions.create(model=endpoint, messages=MESSAGES, stream=True))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole
    assert [chunk.usage for chunk in chunks if chunk.usage][-1].completion_tokens > 0


def test_openai_tools(client: openai.OpenAI) -> None:
    tool = {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
    }
    message = [{"role": "user", "content": "[emulator:tool_call=weather] what is it like?"}]
    answer = client.chat.completions.create(model="chat", messages=message, tools=[tool])
    assert answer.choices[0].message.tool_calls
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"


def test_openai_completions_and_embeddings(client: openai.OpenAI) -> None:
    assert client.completions.create(model="text", prompt="hello").choices[0].text
    vectors = client.embeddings.create(model="vectors", input=["one", "two"], encoding_format="float")
    assert len(vectors.data) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("endpoint", "fault", "error"),
    [
        ("chat", "[emulator:rate_limit]", openai.RateLimitError),
        ("chat", "[emulator:authentication]", openai.AuthenticationError),
        ("chat", "[emulator:server_error]", openai.InternalServerError),
        ("nope", "", openai.NotFoundError),
    ],
)
def test_openai_errors(
    client: openai.OpenAI, endpoint: str, fault: str, error: type[openai.APIStatusError], stream: bool
) -> None:
    message = [{"role": "user", "content": f"hello {fault}"}]
    with pytest.raises(error):
        client.chat.completions.create(model=endpoint, messages=message, stream=stream)


def test_openai_stream_that_breaks(client: openai.OpenAI) -> None:
    message = [{"role": "user", "content": "[emulator:tokens=40] [emulator:stream_error=5]"}]
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="chat", messages=message, stream=True))


def test_mlflow_deployments_client(gateway: Gateway) -> None:
    client = get_deploy_client(gateway.url)
    assert {endpoint.name for endpoint in client.list_endpoints()} >= {"chat", "claude", "vectors"}
    assert client.get_endpoint("chat").endpoint_type == "llm/v1/chat"
    answer = client.predict(endpoint="chat", inputs={"messages": MESSAGES})
    assert answer["choices"][0]["message"]["content"]
    vectors = client.predict(endpoint="vectors", inputs={"input": "hello"})
    assert vectors["data"][0]["embedding"]


def test_the_stream_of_an_endpoint_is_server_sent_events(gateway: Gateway) -> None:
    answer = gateway.post("/endpoints/chat/invocations", {"messages": MESSAGES, "stream": True}, stream=True)
    events = [line for line in answer.iter_lines() if line]
    assert all(line.startswith(b"data: ") for line in events)
    assert json.loads(events[-1][6:])["usage"]["completion_tokens"] > 0
