"""A key given to `gateway-eval` turns up in no output, file or error."""

from pathlib import Path

import pytest

from gateway_eval.secrets import Secrets, StreamRedactor
from support.evaluation import CANARY, gateway_eval, write_cases
from support.hostile_server import (
    HostileServer,
    echo_key,
    echo_key_in_answer,
    echo_key_in_stream,
)

COMMANDS = {
    "run": ["run", "--cases", "cases.json", "-o", "r.json", "-o", "r.xml", "-o", "r.html"],
    "run --json": ["run", "--cases", "cases.json", "--json", "--retry", "1"],
    "run --stream": ["run", "--cases", "cases.json", "--stream"],
    "ask": ["ask", f"Is it {CANARY}?", "--no-stream"],
    "ask streamed": ["ask", "Hi"],
    "ask --json": ["ask", "Hi", "--json", "--no-stream"],
    "check": ["check"],
    "check --json": ["check", "--json"],
}
ANSWERS = {
    "error": (echo_key, list(COMMANDS)),
    "answer": (echo_key_in_answer, ["run", "run --json", "ask", "ask --json"]),
    "stream": (echo_key_in_stream, ["run --stream", "ask streamed"]),
}


@pytest.mark.parametrize(
    ("command", "answer"), [(command, answer) for answer, (_, fit) in ANSWERS.items() for command in fit]
)
def test_key_is_nowhere_even_if_the_host_repeats_it(
    host: HostileServer, tmp_path: Path, command: str, answer: str
) -> None:
    echo, _ = ANSWERS[answer]
    host.will(echo)
    if command.startswith("check"):
        host.gets = {"/api/2.0/endpoints/": echo, "/health": echo}
    write_cases(
        tmp_path,
        {"name": "a", "checks": {"equals": "x"}},
        {"name": "b", "request": {"path": "{chat_path}", "body": {}}, "checks": {"status": 200}},
    )
    name, *options = COMMANDS[command]
    ended = gateway_eval(tmp_path, name, host.url, *options, "--api-key-env", "KEY", KEY=CANARY)
    assert host.requests[-1].headers["authorization"] == f"Bearer {CANARY}"
    said = [ended.out, ended.err, *(path.read_text() for path in tmp_path.iterdir())]
    assert CANARY not in "".join(said)
    assert "[redacted]" in "".join(said), "the host did repeat it"


def test_no_key_is_sent_unless_asked_for(host: HostileServer, tmp_path: Path) -> None:
    gateway_eval(tmp_path, "run", host.url, OPENAI_API_KEY=CANARY)
    assert host.calls
    assert all("authorization" not in request.headers for request in host.requests)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_key_spread_over_the_pieces_of_a_stream_is_not_shown(size: int) -> None:
    text = f"sk-canary {CANARY}x and {CANARY}{CANARY}, sk-canary"
    shown: list[str] = []
    redactor = StreamRedactor(Secrets(CANARY), shown.append)
    for start in range(0, len(text), size):
        redactor.write(text[start : start + size])
    redactor.end()
    assert "".join(shown) == "sk-canary [redacted]x and [redacted][redacted], sk-canary"


@pytest.mark.parametrize("kept", range(1, len(CANARY) + 1))
def test_key_that_was_cut_to_fit_a_line_is_not_shown(kept: int) -> None:
    shown = Secrets(CANARY).redact(f"bad key {CANARY[:kept]}…")
    assert CANARY[:10] not in shown


def test_what_cannot_be_a_key_is_shown_at_once() -> None:
    shown: list[str] = []
    StreamRedactor(Secrets(CANARY), shown.append).write("nothing secret here")
    assert shown == ["nothing secret here"]
