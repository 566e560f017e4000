"""The official OpenAI client's responses API against the emulator."""

import openai
import pytest

QUESTION = "What is AI?"
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture
def client(emulator):
    with openai.OpenAI(base_url=emulator.openai_url, api_key="any", max_retries=0) as client:
        yield client


def last_of(stream):
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events[-1]


def test_a_question_gets_its_answer_and_its_bill(client):
    answer = client.responses.create(model="gpt-4o", input=QUESTION)
    assert "artificial intelligence" in answer.output_text.lower()
    assert (answer.status, answer.model) == ("completed", "gpt-4o-2024-08-06")
    chat = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": QUESTION}])
    assert answer.usage.input_tokens == chat.usage.prompt_tokens
    assert answer.usage.output_tokens == chat.usage.completion_tokens
    assert answer.usage.total_tokens == chat.usage.total_tokens


def test_a_stream_says_and_costs_what_the_whole_answer_does(client):
    whole = client.responses.create(model="gpt-4o", input=QUESTION)
    events = list(client.responses.create(model="gpt-4o", input=QUESTION, stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    assert events[-1].response.output == whole.output
    assert events[-1].response.usage == whole.usage
    assert events[-1].response.id == events[0].response.id


def test_a_conversation_is_remembered_with_instructions(client):
    first = client.responses.create(model="gpt-4o", input="My name is Alice.")
    items = [{"role": "user", "content": "My name is Alice."}, *first.output]
    items.append({"role": "user", "content": [{"type": "input_text", "text": "What is my name?"}]})
    plain = client.responses.create(model="gpt-4o", input=items)
    assert "Alice" in plain.output_text
    told = client.responses.create(model="gpt-4o", input=items, instructions="Be brief.")
    assert told.usage.input_tokens > plain.usage.input_tokens


def test_a_conversation_by_reference_is_refused_since_nothing_is_kept(client):
    with pytest.raises(openai.BadRequestError, match="resp_1") as refused:
        client.responses.create(model="gpt-4o", input=QUESTION, previous_response_id="resp_1")
    assert refused.value.code == "previous_response_not_found"


def test_a_reasoning_model_thinks_first(client):
    answer = client.responses.create(model="gpt-5", input=QUESTION)
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.usage.output_tokens > answer.usage.output_tokens_details.reasoning_tokens >= 64


def test_the_witness_counts_the_tokens_that_a_stream_sent(client, emulator):
    end = last_of(client.responses.create(model="gpt-5", input=QUESTION, stream=True))
    emulator.wait_until("in_flight == 0")
    entry = emulator.requests(1)[0]
    assert (entry["path"], entry["stream"], entry["outcome"]) == ("/v1/responses", True, "completed")
    assert entry["input_tokens"] == end.response.usage.input_tokens
    assert entry["output_tokens"] == end.response.usage.output_tokens


def test_a_limit_makes_the_answer_incomplete(client):
    answer = client.responses.create(model="gpt-4o", input=QUESTION, max_output_tokens=16)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.usage.output_tokens == 16
    end = last_of(client.responses.create(model="gpt-4o", input=QUESTION, max_output_tokens=16, stream=True))
    assert end.type == "response.incomplete"


def test_thinking_may_use_up_the_whole_limit(client):
    answer = client.responses.create(model="gpt-5", input=QUESTION, max_output_tokens=16)
    assert answer.output_text == ""
    assert answer.usage.output_tokens == answer.usage.output_tokens_details.reasoning_tokens == 16


def test_a_tool_is_called_and_its_result_is_used(client):
    asked = client.responses.create(
        model="gpt-4o", input="Weather in Rome?", tools=[WEATHER], tool_choice="required"
    )
    call = asked.output[0]
    assert (call.type, call.name) == ("function_call", "weather")
    items = [{"role": "user", "content": "Weather in Rome?"}, call]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"})
    assert "21 degrees" in client.responses.create(model="gpt-4o", input=items, tools=[WEATHER]).output_text
    streamed = list(
        client.responses.create(
            model="gpt-4o", input="Weather?", tools=[WEATHER], tool_choice="required", stream=True
        )
    )
    pieces = [event.delta for event in streamed if event.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == streamed[-1].response.output[0].arguments


def test_an_error_in_the_middle_of_a_stream_is_seen_as_one(client):
    question = f"{QUESTION} [emulator:stream_error]"
    end = last_of(client.responses.create(model="gpt-4o", input=question, stream=True))
    assert (end.type, end.code) == ("error", "server_error")


@pytest.mark.parametrize(
    ("directive", "error"),
    [
        ("rate_limit", openai.RateLimitError),
        ("server_error", openai.InternalServerError),
        ("authentication", openai.AuthenticationError),
    ],
)
def test_faults_are_asked_for_as_in_a_chat(client, directive, error):
    with pytest.raises(error):
        client.responses.create(model="gpt-4o", input=f"{QUESTION} [emulator:{directive}]")


@pytest.mark.parametrize("wrong", [{"input": None}, {"input": []}, {"input": [{"role": "king"}]}])
def test_a_wrong_request_is_refused(client, wrong):
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="gpt-4o", **wrong)


def test_azure_serves_responses_too(emulator):
    with openai.AzureOpenAI(
        azure_endpoint=emulator.base_url, api_key="any", api_version="2025-04-01-preview", max_retries=0
    ) as azure:
        assert "intelligence" in azure.responses.create(model="gpt-4o", input=QUESTION).output_text
    with openai.OpenAI(base_url=f"{emulator.base_url}/openai/v1", api_key="any", max_retries=0) as azure:
        assert "intelligence" in azure.responses.create(model="gpt-4o", input=QUESTION).output_text
    assert "/openai/responses" in emulator.stats()["by_path"]
