"""The official OpenAI client against the emulator."""

import base64
import json
import struct

import openai
import pytest

QUESTION = [{"role": "user", "content": "What is AI?"}]


@pytest.fixture
def client(emulator):
    with openai.OpenAI(base_url=emulator.openai_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def azure(emulator):
    with openai.AzureOpenAI(
        azure_endpoint=emulator.base_url, api_key="any", api_version="2024-10-21", max_retries=0
    ) as client:
        yield client


def say(text):
    return [{"role": "user", "content": text}]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_chat(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert "artificial intelligence" in answer.choices[0].message.content.lower()
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4o-2024-08-06"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_same_question_gets_the_same_answer_under_another_id(client):
    first = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    second = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.id != second.id


def test_a_stream_says_and_costs_what_the_whole_answer_does(client):
    whole = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_no_usage_unless_it_was_asked_for(client):
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_a_conversation_is_remembered(client):
    messages = say("My name is Alice.")
    first = client.chat.completions.create(model="gpt-4o", messages=messages)
    messages += [{"role": "assistant", "content": first.choices[0].message.content}, *say("What is my name?")]
    assert (
        "Alice"
        in client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content
    )


def test_a_limit_cuts_the_answer(client):
    answer = client.chat.completions.create(model="gpt-4o", messages=QUESTION, max_tokens=5)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5


def test_several_choices_are_billed_each(client):
    one = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    three = client.chat.completions.create(model="gpt-4o", messages=QUESTION, n=3)
    assert len(three.choices) == 3
    assert three.usage.completion_tokens == 3 * one.usage.completion_tokens
    assert three.usage.prompt_tokens == one.usage.prompt_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_cached_and_reasoning_tokens_on_demand(client, stream):
    prompt = say("Hi [emulator:cached=1024] [emulator:reasoning=64] [emulator:tokens=10]")
    if stream:
        usage = list(
            client.chat.completions.create(
                model="gpt-4o", messages=prompt, stream=True, stream_options={"include_usage": True}
            )
        )[-1].usage
    else:
        usage = client.chat.completions.create(model="gpt-4o", messages=prompt).usage
    assert usage.prompt_tokens_details.cached_tokens == 1024
    assert usage.prompt_tokens > 1024
    assert usage.completion_tokens_details.reasoning_tokens == 64
    assert usage.completion_tokens == 74


def test_a_reasoning_model_thinks_and_takes_the_newer_limit_only(client):
    answer = client.chat.completions.create(model="o3-mini", messages=QUESTION, max_completion_tokens=500)
    assert answer.usage.completion_tokens_details.reasoning_tokens > 0
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="o3-mini", messages=QUESTION, max_tokens=500)
    assert refused.value.code == "unsupported_parameter"


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_a_tool_is_called_and_its_result_used(client):
    asked = client.chat.completions.create(
        model="gpt-4o", messages=say("Weather in Oslo?"), tools=[TOOL], tool_choice="required"
    ).choices[0]
    assert asked.finish_reason == "tool_calls"
    call = asked.message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Weather in Oslo?"}
    told = [
        *say("Weather in Oslo?"),
        asked.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "4 degrees"},
    ]
    answer = client.chat.completions.create(model="gpt-4o", messages=told, tools=[TOOL])
    assert "4 degrees" in answer.choices[0].message.content


def test_a_streamed_tool_call_adds_up_to_the_whole_one(client):
    chunks = client.chat.completions.create(
        model="gpt-4o", messages=say("Weather in Oslo?"), tools=[TOOL], tool_choice="required", stream=True
    )
    calls = [chunk.choices[0].delta.tool_calls[0] for chunk in chunks if chunk.choices[0].delta.tool_calls]
    assert calls[0].function.name == "get_weather"
    assert json.loads("".join(call.function.arguments for call in calls)) == {"city": "Weather in Oslo?"}


def test_json_on_request(client):
    schema = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    answer = client.chat.completions.create(
        model="gpt-4o",
        messages=QUESTION,
        response_format={"type": "json_schema", "json_schema": {"name": "topic", "schema": schema}},
    )
    assert "intelligence" in json.loads(answer.choices[0].message.content)["topic"]


def test_completions(client):
    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="What is AI?", max_tokens=100)
    chunks = list(
        client.completions.create(
            model="gpt-3.5-turbo-instruct",
            prompt="What is AI?",
            max_tokens=100,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "artificial intelligence" in whole.choices[0].text.lower()
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


def test_completions_stop_at_sixteen_tokens_unless_told_otherwise(client):
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["What is AI?", "Say hello"])
    assert [choice.finish_reason for choice in answer.choices] == ["length", "stop"]
    assert answer.usage.completion_tokens == 16 + 2


def test_embeddings_in_both_encodings(client):
    # The client asks for base64 unless told otherwise, and decodes it.
    packed = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    plain = client.embeddings.create(
        model="text-embedding-3-small", input=["one", "two"], encoding_format="float"
    )
    assert [len(item.embedding) for item in packed.data] == [1536, 1536]
    assert packed.data[1].embedding == pytest.approx(plain.data[1].embedding, abs=1e-6)
    assert packed.data[0].embedding != packed.data[1].embedding
    assert packed.usage.prompt_tokens == 2


def test_embeddings_of_fewer_dimensions(client):
    answer = client.embeddings.create(
        model="text-embedding-3-large", input="one", dimensions=256, encoding_format="base64"
    )
    assert len(struct.unpack("<256f", base64.b64decode(answer.data[0].embedding))) == 256
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="text-embedding-3-small", input="one", dimensions=4096)


def test_models_are_listed(client):
    assert {"gpt-4o", "gpt-4o-2024-08-06"} <= {model.id for model in client.models.list()}


def test_azure(azure):
    whole = azure.chat.completions.create(model="gpt-4o", messages=QUESTION)
    chunks = list(
        azure.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert whole.model == "gpt-4o-2024-08-06"
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert len(azure.embeddings.create(model="text-embedding-3-small", input="one").data[0].embedding) == 1536
    assert (
        azure.completions.create(model="my-deployment", prompt="Say hello").choices[0].text.strip() == "hello"
    )


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rate_limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("server_error", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, None),
        ("authentication", openai.AuthenticationError, "invalid_api_key"),
        ("not_found", openai.NotFoundError, "model_not_found"),
        ("status=422", openai.UnprocessableEntityError, None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_on_demand(client, fault, error, code, stream):
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="gpt-4o", messages=say(f"Hi [emulator:{fault}]"), stream=stream)
    assert raised.value.code == code


def test_a_rate_limit_says_when_to_come_back(client):
    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=say("[emulator:rate_limit=7]"))
    assert raised.value.response.headers["retry-after"] == "7"


def test_a_header_asks_for_faults_too(client):
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, extra_headers={"X-Emulator-Fault": "server_error"}
        )


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": QUESTION, "max_tokens": 0}, "max_tokens"),
        ({"messages": QUESTION, "n": "two"}, "n"),
    ],
)
def test_wrong_requests_are_refused_by_the_parameter(client, call, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="gpt-4o", **call)
    assert refused.value.param == param


def test_an_unknown_directive_is_refused_by_name(client):
    with pytest.raises(openai.BadRequestError, match="unknown emulator directive 'explode'"):
        client.chat.completions.create(model="gpt-4o", messages=say("[emulator:explode]"))
