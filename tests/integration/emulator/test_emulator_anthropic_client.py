"""The official Anthropic client against the emulator."""

import anthropic
import pytest
import requests

QUESTION = [{"role": "user", "content": "What is AI?"}]
MODEL = "claude-haiku-4-5"


@pytest.fixture
def client(emulator):
    with anthropic.Anthropic(base_url=emulator.base_url, api_key="any", max_retries=0) as client:
        yield client


def create(client, text="What is AI?", **options):
    messages = [{"role": "user", "content": text}]
    return client.messages.create(**{"model": MODEL, "messages": messages, "max_tokens": 1000, **options})


def test_a_message(client):
    answer = create(client)
    assert "artificial intelligence" in answer.content[0].text.lower()
    assert (answer.stop_reason, answer.model) == ("end_turn", "claude-haiku-4-5-20251001")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0


def test_a_stream_says_and_costs_what_the_whole_message_does(client):
    whole = create(client)
    with client.messages.stream(model=MODEL, messages=QUESTION, max_tokens=1000) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == whole.content[0].text
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert streamed.stop_reason == "end_turn"


def test_the_events_of_a_stream_come_in_the_documented_order(client):
    kinds = [event.type for event in create(client, "Say hello", stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) <= {"ping", "content_block_delta"}


def test_cached_tokens_are_beside_the_input_tokens(client):
    plain = create(client, "Hi [emulator:tokens=5] and no more directives than this one here").usage
    cached = create(client, "Hi [emulator:cached=1024][emulator:cache_write=200][emulator:tokens=5]").usage
    assert (cached.cache_read_input_tokens, cached.cache_creation_input_tokens) == (1024, 200)
    assert cached.input_tokens < 1024
    assert (plain.cache_read_input_tokens, plain.cache_creation_input_tokens) == (0, 0)


def test_a_limit_and_a_stop_sequence_end_the_message(client):
    assert create(client, max_tokens=3).stop_reason == "max_tokens"
    stopped = create(client, stop_sequences=[" is "])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", " is ")


def test_thinking_is_shown_and_billed(client):
    answer = create(client, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=4000)
    assert [block.type for block in answer.content] == ["thinking", "text"]
    plain = create(client)
    assert answer.usage.output_tokens > plain.usage.output_tokens


def test_a_tool_is_called_whole_and_streamed(client):
    tool = {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
    call = {"tools": [tool], "tool_choice": {"type": "any"}, "max_tokens": 1000, "model": MODEL}
    messages = [{"role": "user", "content": "Oslo"}]
    whole = client.messages.create(messages=messages, **call)
    assert whole.stop_reason == "tool_use"
    assert whole.content[0].input == {"city": "Oslo"}
    with client.messages.stream(messages=messages, **call) as stream:
        assert stream.get_final_message().content[0].input == {"city": "Oslo"}


def test_tokens_are_counted_as_they_are_billed(client):
    counted = client.messages.count_tokens(model=MODEL, messages=QUESTION, system="Be brief.")
    assert counted.input_tokens == create(client, system="Be brief.").usage.input_tokens


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("rate_limit", anthropic.RateLimitError, "rate_limit_error"),
        ("quota", anthropic.BadRequestError, "invalid_request_error"),
        ("server_error", anthropic.InternalServerError, "api_error"),
        ("overloaded", anthropic.InternalServerError, "overloaded_error"),
        ("authentication", anthropic.AuthenticationError, "authentication_error"),
    ],
)
def test_errors_on_demand(client, fault, error, kind):
    with pytest.raises(error) as raised:
        create(client, f"Hi [emulator:{fault}]")
    assert raised.value.body["error"]["type"] == kind


def test_an_error_in_the_middle_of_a_stream(client):
    with pytest.raises(anthropic.APIStatusError, match="The server had an error"):
        list(create(client, "What is AI? [emulator:stream_error]", stream=True))


def test_models_are_listed(client):
    assert "claude-haiku-4-5-20251001" in {model.id for model in client.models.list()}


def test_max_tokens_is_required(emulator):

    answer = requests.post(
        emulator.base_url + "/v1/messages",
        json={"model": MODEL, "messages": QUESTION},
        headers={"x-api-key": "any", "anthropic-version": "2023-06-01"},
        timeout=10,
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "max_tokens: Field required"
