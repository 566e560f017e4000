import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_eval.emulator import tokens
from gateway_eval.emulator.answer import compose, filler
from gateway_eval.emulator.directives import Directives


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(tokens.split(text)) == text


@given(st.text())
def test_a_count_is_the_number_of_tokens(text):
    assert tokens.count(text) == len(tokens.split(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("Hello", 1),
        ("Hello world", 2),
        ("Hello, world!", 4),
        ("internationalisation", 3),
        ("12345", 2),
        ("a  b", 3),
        ("日本語", 3),
        ("naïve café", 2),
    ],
)
def test_the_written_rule(text, expected):
    assert tokens.count(text) == expected


def test_english_is_about_four_characters_a_token():
    text = (
        "Artificial intelligence is the field of computer science that builds systems able to perform "
        "tasks that normally need human intelligence, such as understanding language and making decisions."
    )
    assert 3 < len(text) / tokens.count(text) < 6


def test_a_conversation_costs_its_frame_too():
    # 3 for the reply, and for each message 3, its role (1) and its text.
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there"}]
    assert tokens.count_chat(messages) == 3 + (3 + 1 + 1) + (3 + 2 + 2)


def test_parts_cost_what_their_text_costs():
    whole = [{"role": "user", "content": "Hello world"}]
    parts = [
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": " world"}]}
    ]
    assert tokens.count_chat(parts) == tokens.count_chat(whole)


def test_a_picture_costs_more_than_none():
    text = {"type": "text", "text": "Hello"}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with_picture = tokens.count_chat([{"role": "user", "content": [text, picture]}])
    assert with_picture - tokens.count_chat([{"role": "user", "content": [text]}]) == 85


@given(st.integers(0, 3000))
def test_filler_has_the_length_that_was_asked_for(length):
    pieces = filler(length)
    assert len(pieces) == length
    assert tokens.count("".join(pieces)) == length


def answer(text="one two three four", **options):
    directives = options.pop("directives", Directives())
    return compose(text, directives, **{"model": "gpt-4o", "input_tokens": 10, **options})


def test_an_answer_within_its_limit_is_whole():
    whole = answer(limit=4)
    assert (whole.text, whole.finish, whole.usage.output_tokens) == ("one two three four", "stop", 4)


def test_an_answer_over_its_limit_is_cut():
    cut = answer(limit=2)
    assert (cut.text, cut.finish, cut.usage.output_tokens) == ("one two", "length", 2)


def test_an_answer_ends_before_a_stop_sequence():
    stopped = answer(stops=[" three"])
    assert (stopped.text, stopped.finish, stopped.stop_sequence) == ("one two", "stop_sequence", " three")


def test_thinking_is_part_of_the_output():
    usage = answer(model="o3-mini").usage
    assert usage.reasoning_tokens == 64
    assert usage.output_tokens == 64 + 4


def test_thinking_may_use_up_the_limit():
    cut = answer(model="gpt-5", limit=50)
    assert (cut.text, cut.finish) == ("", "length")
    assert (cut.usage.reasoning_tokens, cut.usage.output_tokens) == (50, 50)


def test_only_reasoning_models_think():
    for model in ("gpt-4o", "gpt-3.5-turbo", "claude-sonnet-4-5", "gpt-5-chat-latest"):
        assert answer(model=model).usage.reasoning_tokens == 0


def test_added_tokens_are_part_of_the_totals():
    added = Directives(cached=1024, cache_write=100, input_audio=7, output_audio=5, reasoning=64)
    usage = answer(directives=added).usage
    assert usage.input_tokens == 10 + 1024 + 100 + 7
    assert usage.output_tokens == 4 + 64 + 5
    assert (usage.cached_input_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (1024, 100, 64)
