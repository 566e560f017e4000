"""Faults on demand, as they look on the wire."""

import contextlib
import json

import pytest
import requests

TOKENS = 40


@pytest.fixture
def post(emulator):
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer any"

        def post(directive, **options):
            timeout = options.pop("timeout", 10)
            content = f"What is AI? [emulator:{directive}] [emulator:tokens={TOKENS}]"
            call = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **options}
            return session.post(
                emulator.openai_url + "/chat/completions",
                json=call,
                stream=bool(options.get("stream")),
                timeout=timeout,
            )

        yield post


def events(answer):
    """Yield the data of each event until the stream ends, well or badly."""
    with contextlib.suppress(requests.exceptions.ChunkedEncodingError):
        for line in answer.iter_lines():
            if line.startswith(b"data: "):
                yield line[6:]


def words(data):
    for one in data:
        with contextlib.suppress(ValueError):
            if one != b"[DONE]" and (choices := json.loads(one).get("choices")):
                yield choices[0]["delta"].get("content") or ""


def test_a_cut_stream_ends_in_the_middle_without_saying_so(post, emulator):
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        list(post("cut_stream", stream=True).iter_lines())
    seen = list(events(post("cut_stream=10", stream=True)))
    assert b"[DONE]" not in seen
    assert len([word for word in words(seen) if word]) == 10
    stats = emulator.wait_until("in_flight == 0")
    assert stats["streams"]["broken"] == 2
    assert emulator.requests(1)[0]["output_tokens"] == 10


def test_a_stream_cut_after_its_last_token_lacks_its_end(post):
    seen = list(events(post(f"cut_stream={TOKENS + 1}", stream=True)))
    assert len([word for word in words(seen) if word]) == TOKENS
    assert not any(b'"finish_reason":"stop"' in one or one == b"[DONE]" for one in seen)


def test_a_cut_whole_answer_is_shorter_than_it_said(post):
    # requests raises on a body shorter than its Content-Length.
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        post("cut_stream")


def test_a_broken_stream_goes_on_after_a_line_that_is_no_json(post):
    seen = list(events(post("bad_json", stream=True)))
    broken = []
    for one in seen[:-1]:
        try:
            json.loads(one)
        except ValueError:
            broken.append(one)
    assert len(broken) == 1
    assert seen[-1] == b"[DONE]"


def test_broken_json_comes_as_a_good_answer(post):
    answer = post("bad_json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        answer.json()


def test_an_error_in_the_middle_of_a_stream_is_an_event(post):
    seen = list(events(post("stream_error=5", stream=True)))
    assert json.loads(seen[-1])["error"]["type"] == "server_error"
    assert len([word for word in words(seen) if word]) == 5


def test_a_page_instead_of_an_answer(post):
    answer = post("html")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert "502 Bad Gateway" in answer.text


def test_an_empty_answer(post):
    answer = post("empty")
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_connection_closed_without_an_answer(post, emulator):
    with pytest.raises(requests.exceptions.ConnectionError):
        post("disconnect")
    assert emulator.wait_until("broken == 1")["by_status"] == {}


def test_a_call_that_hangs_ends_when_its_caller_leaves(post, emulator):
    with pytest.raises(requests.exceptions.ReadTimeout):
        post("hang", timeout=0.5)
    assert emulator.wait_until("in_flight == 0")["disconnected"] == 1


def test_a_stalled_stream_says_half_and_then_nothing(post, emulator):
    answer = post("stall", stream=True, timeout=1)
    said = []
    with pytest.raises(requests.exceptions.ConnectionError):
        said.extend(one for one in answer.iter_lines() if one)
    answer.close()
    stats = emulator.wait_until("in_flight == 0")
    assert stats["streams"]["disconnected"] == 1
    assert emulator.requests(1)[0]["output_tokens"] == TOKENS // 2


def test_a_delay_comes_before_the_answer_and_between_tokens(post):
    assert post("delay=0.2").elapsed.total_seconds() >= 0.2
    assert post("token_delay=0.01").elapsed.total_seconds() >= 0.01 * TOKENS
    # A stream begins long before its last token is due.
    with post("token_delay=60", stream=True) as answer:
        assert answer.status_code == 200


def test_an_answer_may_lack_its_usage(post):
    assert "usage" not in post("no_usage").json()
    seen = list(events(post("no_usage", stream=True, stream_options={"include_usage": True})))
    assert all("usage" not in json.loads(one) for one in seen[:-1])


def test_a_content_filter_stops_the_answer(post):
    assert post("content_filter").json()["choices"][0]["finish_reason"] == "content_filter"


def test_a_conversation_goes_on_after_a_fault(emulator):
    messages = [
        {"role": "user", "content": "[emulator:server_error]"},
        {"role": "assistant", "content": "Sorry?"},
        {"role": "user", "content": "Say hello"},
    ]
    answer = requests.post(
        emulator.openai_url + "/chat/completions",
        json={"model": "gpt-4o", "messages": messages},
        headers={"Authorization": "Bearer any"},
        timeout=10,
    )
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
