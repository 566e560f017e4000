import pytest

from gateway_eval.emulator.replies import reply


def test_knows_what_ai_is():
    assert "artificial intelligence" in reply(["What is AI?"]).lower()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["My name is Alice and I like tea.", "What is my name?"], "Your name is Alice."),
        (["my name is bob", "Tell me a joke.", "Do you remember my name?"], "Your name is bob."),
        (["My name is Ana Maria. What is my name?"], "Your name is Ana Maria."),
        (["I am called Ann.", "Call me Eve.", "Who am I?"], "Your name is Eve."),
        (["My favourite colour is blue.", "What is my favourite colour?"], "Your favourite colour is blue."),
        (["I have a dog called Rex.", "What is my dog called?"], "Your dog is Rex."),
        (
            ["Remember the number 42.", "What number did I ask you to remember?"],
            "You asked me to remember 42.",
        ),
        (["Hi there", "What is AI?", "What was my first message?"], 'Your first message was: "Hi there"'),
    ],
)
def test_remembers_what_was_said_earlier(said, expected):
    assert reply(said) == expected


def test_remembers_nothing_of_another_conversation():
    reply(["My name is Alice."])
    assert reply(["What is my name?"]) == "You have not told me your name."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 2 + 3?", "2 + 3 = 5"),
        ("Calculate 12 times 7", "12 times 7 = 84"),
        ("7 - 10", "7 - 10 = -3"),
        ("What's 10 divided by 4?", "10 divided by 4 = 2.5"),
    ],
)
def test_does_small_sums(question, expected):
    assert reply([question]) == expected


@pytest.mark.parametrize("text", ["2024-05-13", "What is 1 / 0?", "Call 10-12 before noon", "version 1.2.3"])
def test_takes_nothing_else_for_a_sum(text):
    assert " = " not in reply([text])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Say hello", "hello"),
        ('Reply with exactly: "OK"', "OK"),
        ("Repeat after me: the sea is blue", "the sea is blue"),
        ("Count to 5", "1, 2, 3, 4, 5"),
    ],
)
def test_follows_simple_orders(question, expected):
    assert reply([question]) == expected


def test_answers_anything_else_with_the_callers_own_words():
    assert "Write a poem about the sea" in reply(["Write a poem about the sea"])


def test_quotes_a_long_message_in_part():
    assert len(reply(["word " * 50_000])) < 600
    assert len(reply(["x" * 200_000])) < 600


def test_finds_the_question_at_the_end_of_a_long_message():
    assert "artificial intelligence" in reply(["Some document. " * 1000 + "What is AI?"]).lower()


@pytest.mark.parametrize("said", [[], [""], ["  \n"]])
def test_has_an_answer_to_nothing(said):
    assert reply(said)
