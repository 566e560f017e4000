"""What the emulator says about what it served."""

import socket

import pytest
import requests

HEADERS = {"Authorization": "Bearer any"}


def chat(emulator, content="Say hello", headers=None, **options):
    return requests.post(
        emulator.openai_url + "/chat/completions",
        json={"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **options},
        headers={**HEADERS, **(headers or {})},
        timeout=10,
    )


def test_counts_what_was_served(emulator):
    usage = chat(emulator).json()["usage"]
    chat(emulator, stream=True)
    chat(emulator, "[emulator:rate_limit]")
    chat(emulator, headers={"Authorization": ""})
    requests.get(emulator.base_url + "/health", timeout=10)
    stats = emulator.stats()
    assert stats["received"] == stats["completed"] == 4
    assert stats["by_path"] == {"/v1/chat/completions": 4}
    assert stats["by_status"] == {"200": 2, "401": 1, "429": 1}
    assert stats["by_model"] == {"gpt-4o": 2}
    assert stats["streams"] == {"completed": 1, "disconnected": 0, "broken": 0}
    assert stats["input_tokens"] == 2 * usage["prompt_tokens"]
    assert stats["output_tokens"] == 2 * usage["completion_tokens"]


def test_knows_calls_by_the_id_of_the_caller_the_prompt_or_its_own(emulator):
    by_header = chat(emulator, headers={"X-Request-ID": "from-header"})
    chat(emulator, "Hi [emulator:id=from-prompt]", headers={"X-Request-ID": "from-header"})
    own = chat(emulator).headers["x-request-id"]
    assert by_header.headers["x-request-id"] == "from-header"
    assert [call["request_id"] for call in emulator.requests()] == [own, "from-prompt", "from-header"]


def test_counts_a_caller_who_leaves_a_stream_with_what_was_sent_until_then(emulator):
    answer = requests.post(
        emulator.openai_url + "/chat/completions",
        json={
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "[emulator:tokens=5000][emulator:token_delay=0.01]"}],
            "stream": True,
        },
        headers=HEADERS,
        stream=True,
        timeout=10,
    )
    assert emulator.stats()["in_flight"] == 1
    next(answer.iter_lines())
    answer.close()
    stats = emulator.wait_until("in_flight == 0")
    assert stats["streams"] == {"completed": 0, "disconnected": 1, "broken": 0}
    assert 0 <= stats["output_tokens"] < 5000
    assert emulator.requests(1)[0]["outcome"] == "disconnected"


def test_counts_a_caller_who_leaves_during_the_request(emulator):
    with socket.create_connection(("127.0.0.1", emulator.port)) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        emulator.wait_until("in_flight == 1")
    assert emulator.wait_until("in_flight == 0")["disconnected"] == 1


def test_forgets_on_request(emulator):
    chat(emulator)
    emulator.reset()
    assert emulator.stats()["received"] == 0
    assert emulator.requests() == []


def test_shows_the_latest_calls_first_and_no_more_than_asked_for(emulator):
    for number in range(5):
        chat(emulator, headers={"X-Request-ID": f"call-{number}"})
    assert [call["request_id"] for call in emulator.requests(2)] == ["call-4", "call-3"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/nothing", 404),
        ("GET", "/emulator/requests?limit=all", 400),
        ("POST", "/openai/deployments/gpt-4o/images", 404),
    ],
)
def test_other_requests_are_refused_in_json_and_not_counted(emulator, method, path, status):
    answer = requests.request(method, emulator.base_url + path, headers=HEADERS, timeout=10)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert emulator.stats()["received"] == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(emulator, body):
    answer = requests.post(emulator.openai_url + "/chat/completions", data=body, headers=HEADERS, timeout=10)
    assert answer.status_code == 400
    assert "could not parse the JSON body" in answer.json()["error"]["message"]


def test_a_lone_surrogate_does_no_harm(emulator):
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"say \\ud800"}]}'
    answer = requests.post(emulator.openai_url + "/chat/completions", data=body, headers=HEADERS, timeout=10)
    assert answer.json()["choices"][0]["message"]["content"] == "?"


def test_a_body_in_pieces_is_read_whole(emulator):
    def pieces():
        yield b'{"model":"gpt-4o","messages":[{"role":'
        yield b'"user","content":"Say hello"}]}'

    answer = requests.post(
        emulator.openai_url + "/chat/completions", data=pieces(), headers=HEADERS, timeout=10
    )
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
