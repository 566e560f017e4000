import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_eval.emulator.vocabulary import splitter


def write(path, *merged):
    """Write a vocabulary of all bytes and some longer tokens, in the order in which they are merged."""
    tokens = [bytes([value]) for value in range(256)] + [text.encode() for text in merged]
    path.write_text(
        "".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    )
    return path


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    merged = ("he", "ll", "hell", "hello", " w", "or", " wor", "ld", " world")
    return splitter(write(tmp_path_factory.mktemp("v") / "small.tiktoken", *merged))


def test_tokens_are_those_of_the_vocabulary(split):
    assert split("hello world") == ["hello", " world"]
    assert split("hellw") == ["hell", "w"]


def test_numbers_are_cut_into_three_digits_before_they_become_tokens(split):
    assert split("12345") == list("12345")


def test_a_character_of_several_tokens_comes_with_the_last(split):
    assert split("é") == ["", "é"]
    assert split("日") == ["", "", "日"]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_tokens_joined_are_the_text(split, text):
    assert "".join(split(text)) == text


@pytest.mark.parametrize("content", ["", "hello\n", "aGVsbG8= x\n", "aGVsbG8= 1\n", "!!!! 1\n"])
def test_what_is_no_vocabulary_is_refused(tmp_path, content):
    file = tmp_path / "broken.tiktoken"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"broken.tiktoken"):
        splitter(file)
