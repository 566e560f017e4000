import pytest

from gateway_eval.emulator.directives import NONE, DirectiveError, parse, strip


def test_a_plain_prompt_asks_for_nothing():
    assert parse("What is AI?") == NONE


def test_a_prompt_may_ask_for_several_things():
    asked = parse("Hi [emulator:delay=0.5] there [emulator:tokens=200][emulator:cached=1024]")
    assert (asked.delay, asked.tokens, asked.cached) == (0.5, 200, 1024)


def test_a_header_asks_as_a_prompt_does():
    assert parse("Hi", "delay=0.5, tokens=200") == parse("Hi [emulator:delay=0.5] [emulator:tokens=200]")


def test_the_header_is_applied_last():
    assert parse("[emulator:tokens=1]", "tokens=2").tokens == 2


def test_a_rate_limit_may_say_how_long():
    assert parse("[emulator:rate_limit]").retry_after == 1
    assert parse("[emulator:rate_limit=7.5]").retry_after == 7.5


def test_a_cut_may_say_after_how_many_tokens():
    assert parse("[emulator:cut_stream]").after is None
    assert parse("[emulator:cut_stream=3]").after == 3


def test_directives_are_not_part_of_the_question():
    assert strip("What is AI? [emulator:delay=1] Please.") == "What is AI? Please."
    assert strip("[emulator:quota]") == ""


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("[emulator:explode]", "unknown emulator directive 'explode'; known: rate_limit, quota"),
        ("[emulator:]", "unknown emulator directive ''"),
        ("[emulator:delay=soon]", "'delay' takes a number from 0 to 3600, not 'soon'"),
        ("[emulator:delay=-1]", "'delay' takes a number from 0"),
        ("[emulator:delay=nan]", "'delay' takes a number from 0"),
        ("[emulator:delay]", "'delay' takes a number from 0"),
        ("[emulator:tokens=1.5]", "'tokens' takes a whole number"),
        ("[emulator:tokens=1000000000]", "'tokens' takes a number from 0 to 200000"),
        ("[emulator:status=200]", "'status' takes 400 to 599"),
        ("[emulator:status=999]", "'status' takes a number from 0 to 599"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(prompt, said):
    with pytest.raises(DirectiveError) as refused:
        parse(prompt)
    assert said in str(refused.value)
