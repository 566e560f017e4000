import itertools
import json

import pytest

from gateway_eval.emulator.tokens import count
from gateway_eval.load import prompts


def texts(bodies, number):
    taken = [json.loads(body) for body in itertools.islice(bodies, number)]
    return [body["messages"][0]["content"] for body in taken]


def test_texts_have_the_sizes_asked_for():
    assert [count(text) for text in texts(prompts.sized("10,500", {}), 4)] == [10, 500, 10, 500]


def test_sizes_of_a_range_are_spread_over_it_and_are_the_same_every_time():
    sizes = [count(text) for text in texts(prompts.sized("100-300", {}), 400)]
    assert (min(sizes), max(sizes)) == pytest.approx((100, 300), abs=5)
    assert sizes == [count(text) for text in texts(prompts.sized("100-300", {}), 400)]


def test_no_two_texts_begin_alike():
    beginnings = {text[:9] for text in texts(prompts.sized("20", {}), 1000)}
    assert len(beginnings) == 1000


def test_every_call_carries_the_parameters():
    body = json.loads(next(prompts.sized("20", {"model": "gpt-4o", "stream": True})))
    assert (body["model"], body["stream"]) == ("gpt-4o", True)
    assert json.loads(next(prompts.question({"max_tokens": 5})))["max_tokens"] == 5


@pytest.mark.parametrize("text", ["", "3", "-5", "10-", "500-100", "many", "10,,20", "9999999"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"100-2000"):
        prompts.sized(text, {})


def test_lines_of_a_text_file_are_prompts(tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_text("one\n\n two \n")
    assert texts(prompts.from_file(file, {}), 3) == ["one", "two", "one"]


@pytest.mark.parametrize(
    "line",
    [
        "text",
        "[]",
        '{"prompt": ""}',
        '{"messages": []}',
        '{"prompt": "x", "modle": "y"}',
        '{"messages": ["x"]}',
    ],
)
def test_a_line_that_is_no_prompt_is_named(tmp_path, line):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "fine"}\n' + line)
    with pytest.raises(ValueError, match=r"prompts.jsonl:2: "):
        prompts.from_file(file, {})
