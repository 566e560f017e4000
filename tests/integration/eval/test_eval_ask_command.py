"""`gateway-eval ask`: the answer as it comes, and what it took."""

import socket
import subprocess
import threading
from pathlib import Path

import pytest

from support.evaluation import GOOD, KEY_REFUSED, PROGRAM, QUOTA, RATE_LIMIT, gateway_eval
from support.hostile_server import Answer, HostileServer, completion, event, http, stream

USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}\n\n'


def test_answer_is_data_and_the_rest_is_narration(host: HostileServer, tmp_path: Path) -> None:
    named = [event({"content": text}, model="gpt-4o-mini") for text in ("Hello", " Ada")]
    host.will(stream(*named, event(finish="stop"), USAGE))
    ended = gateway_eval(tmp_path, "ask", host.url, "Who am I?", "--system", "Be brief.", "--max-tokens", "9")
    assert ended.code == 0, ended.err
    assert ended.out == "Hello Ada\n"
    for words in ("10 tokens in, 5 out", "$0.0000045", "first token after", " ms"):
        assert words in ended.err
    (call,) = host.calls
    assert [message["role"] for message in call.body["messages"]] == ["system", "user"]
    assert (call.body["stream"], call.body["max_tokens"]) == (True, 9)


def test_answer_is_shown_as_it_comes(host: HostileServer, tmp_path: Path) -> None:
    seen = threading.Event()

    def pausing(connection: socket.socket, _server: HostileServer) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.sendall(event({"content": "first "}))
        assert seen.wait(60), "the first words were not shown before the last were sent"
        connection.sendall(event({"content": "last"}) + event(finish="stop"))

    host.will(pausing)
    process = subprocess.Popen(
        [PROGRAM, "ask", host.url, "Hi"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"first "
        seen.set()
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out == b"last\n"
    assert process.returncode == 0


def test_prompt_from_standard_input(host: HostileServer, tmp_path: Path) -> None:
    asked = subprocess.run(
        [PROGRAM, "ask", host.url, "-", "--no-stream"],
        input=b"What is AI?",
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert asked.stdout == b"Ada\n"
    assert host.calls[0].body["messages"][0]["content"] == "What is AI?"


def test_json(host: HostileServer, tmp_path: Path) -> None:
    host.will(GOOD)
    document = gateway_eval(tmp_path, "ask", host.url, "Hi", "--no-stream", "--json").json()
    assert set(document) == {"schema_version", "command", "range", "rows", "totals", "warnings"}
    (row,) = document["rows"]
    assert (row["output"], row["request_id"], row["cost_usd"]) == ("Ada", "request-1", "0.0000045")
    assert document["totals"]["requests"] == 1


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (KEY_REFUSED, 4, "authentication"),
        (QUOTA, 5, "add credit"),
        (RATE_LIMIT, 6, "rate_limit"),
        (stream(event({"content": "Hel"})), 1, "stream_cut"),
        (http(200, b"<html>"), 1, "protocol"),
    ],
)
def test_failure_is_told_apart(
    host: HostileServer, tmp_path: Path, answer: Answer, code: int, words: str
) -> None:
    host.will(answer)
    ended = gateway_eval(tmp_path, "ask", host.url, "Hi")
    assert ended.code == code
    assert words in ended.err
    assert len(host.calls) == 1


def test_unreachable_host(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ended = gateway_eval(tmp_path, "ask", url, "Hi")
    assert ended.code == 3
    assert "connection refused" in ended.err


@pytest.mark.parametrize("arguments", [[""], ["Hi", "--endpoint", "embeddings"], ["Hi", "--max-tokens", "0"]])
def test_wrong_usage_calls_nothing(host: HostileServer, tmp_path: Path, arguments: list[str]) -> None:
    assert gateway_eval(tmp_path, "ask", host.url, *arguments).code == 2
    assert not host.calls


def test_answer_does_not_drive_the_terminal(host: HostileServer, tmp_path: Path) -> None:
    host.will(http(200, completion("red \x1b[31malert\x07\nnext")))
    assert gateway_eval(tmp_path, "ask", host.url, "Hi", "--no-stream").out == "red [31malert\nnext\n"
