"""`gateway-eval run`: which cases it puts, how it judges them, and its exit codes."""

import json
import socket
from pathlib import Path

import pytest

from support.evaluation import (
    BROKEN,
    CANARY,
    GOOD,
    KEY_REFUSED,
    QUOTA,
    RATE_LIMIT,
    gateway_eval,
    results,
    write_cases,
)
from support.hostile_server import (
    Answer,
    HostileServer,
    completion,
    event,
    hang,
    http,
    reset,
    stream,
)


def test_smoke_suite_passes_on_a_good_host(host: HostileServer, tmp_path: Path) -> None:
    text = [event({"content": "1, 2, 3, 4, 5"}), event(finish="stop")]
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 9}}\n\n'
    host.will(GOOD, GOOD, GOOD, stream(*text, usage))
    ended = gateway_eval(tmp_path, "run", host.url)
    assert ended.code == 0, ended.err
    assert "4 cases: 4 passed, 0 failed, 0 errored | 4 calls" in ended.out
    assert len(host.calls) == 4
    assert {call.path for call in host.calls} == {"/gateway/chat/invocations"}
    memory = host.calls[2].body["messages"]
    assert [message["role"] for message in memory] == ["user", "assistant", "user"]
    assert memory[1]["content"] == "Ada"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([GOOD], 0),
        ([http(200, completion("Bob"))], 1),
        ([BROKEN], 1),
        ([KEY_REFUSED], 4),
        ([http(403, {"detail": "no"})], 4),
        ([QUOTA], 5),
        ([RATE_LIMIT], 6),
        ([reset], 3),
        # Several at once: the one that explains the most.
        ([http(200, completion("Bob")), RATE_LIMIT], 6),
        ([RATE_LIMIT, QUOTA], 5),
        ([QUOTA, KEY_REFUSED], 4),
        ([KEY_REFUSED, reset], 3),
    ],
)
def test_exit_code_tells_the_cause(
    host: HostileServer, tmp_path: Path, answers: list[Answer], code: int
) -> None:
    host.will(*answers)
    cases = write_cases(
        tmp_path, *({"name": str(n), "checks": {"equals": "Ada"}} for n in range(len(answers)))
    )
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases).code == code
    assert len(results(tmp_path)["cases"]) == len(answers)


def test_unreachable_host_is_exit_3_and_recorded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    ended = gateway_eval(tmp_path, "run", url)
    assert ended.code == 3
    assert "connection refused" in ended.err
    document = results(tmp_path)
    assert document["summary"]["errored"] == document["summary"]["cases"] == 4
    assert {case["error"]["class"] for case in document["cases"]} == {"network"}
    assert document["summary"]["requests"] == 0


def test_timeout_is_exit_3(host: HostileServer, tmp_path: Path) -> None:
    host.will(hang)
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--timeout", "1").code == 3
    assert results(tmp_path)["cases"][0]["turns"][0]["error_class"] == "timeout"


def test_error_that_was_expected_passes(host: HostileServer, tmp_path: Path) -> None:
    host.will(QUOTA, GOOD, RATE_LIMIT)
    cases = write_cases(
        tmp_path,
        {"name": "as expected", "expect_error": "quota", "checks": {"status": 429}},
        {"name": "none came", "expect_error": "quota"},
        {"name": "another came", "expect_error": ["quota", "authentication"]},
    )
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases)
    assert [case["status"] for case in results(tmp_path)["cases"]] == ["passed", "failed", "errored"]
    assert ended.code == 6


def test_check_without_its_input_is_an_error(host: HostileServer, tmp_path: Path) -> None:
    answer = completion()
    del answer["usage"]
    host.will(http(200, answer))
    cases = write_cases(tmp_path, {"name": "a", "checks": {"tokens": {"output": 9}}})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases).code == 1
    (case,) = results(tmp_path)["cases"]
    assert (case["status"], case["error"]["class"]) == ("errored", "missing_input")
    assert case["turns"][0]["checks"][0]["passed"] is None


def test_conversation_ends_where_a_call_fails(host: HostileServer, tmp_path: Path) -> None:
    host.will(GOOD, BROKEN, GOOD)
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([{"name": "a", "turns": [{"user": "1"}, {"user": "2"}, {"user": "3"}]}]))
    gateway_eval(tmp_path, "run", host.url, "--cases", str(path))
    assert len(host.calls) == 2


def test_repeat_filter_and_stream(host: HostileServer, tmp_path: Path) -> None:
    host.will(stream(event({"content": "Ada"}), event(finish="stop")))
    cases = write_cases(tmp_path, {"name": "one"}, {"name": "another"})
    ended = gateway_eval(
        tmp_path, "run", host.url, "--cases", cases, "-k", "ANOTH", "--repeat", "3", "--stream"
    )
    assert ended.code == 0, ended.err
    assert [(case["name"], case["repeat"]) for case in results(tmp_path)["cases"]] == [
        ("another", 1),
        ("another", 2),
        ("another", 3),
    ]
    assert all(call.body["stream"] for call in host.calls)


def test_fail_fast_says_what_was_left_out(host: HostileServer, tmp_path: Path) -> None:
    host.will(BROKEN)
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b"}, {"name": "c"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--fail-fast")
    assert ended.code == 1
    assert len(host.calls) == 1
    assert "2 not run (fail_fast)" in ended.out
    summary = results(tmp_path)["summary"]
    assert (summary["not_run"], summary["stopped"]) == (2, "fail_fast")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--endpoint", "embeddings"], "for embeddings"),
        (["--cases", "missing.json"], "missing.json"),
        (["--cases", "bad.json"], "did you mean 'messages'?"),
        (["-k", "nothing"], "simple-question"),
        (["--suite", "smoke", "--cases", "bad.json"], "give one of them"),
        (["--max-cost", "0"], "more than 0"),
        (["--max-cost", "much"], "0.50"),
        (["--timeout", "0"], "--timeout"),
        (["--repeat", "0"], "--repeat"),
        (["--api-key-env", "NOT_SET"], "NOT_SET is not set"),
        (["--api-key-env", "BROKEN_KEY"], "BROKEN_KEY holds characters"),
        (["--prices", "bad.json"], "bad.json"),
        (["--results", "no/such/directory/x.json"], "--results"),
        (["--results", "."], "not a regular file"),
        (["--results", "/dev/null"], "not a regular file"),
    ],
)
def test_wrong_usage_calls_nothing_and_leaves_nothing(
    host: HostileServer, tmp_path: Path, arguments: list[str], words: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('[{"name": "a", "mesages": []}]')
    ended = gateway_eval(tmp_path, "run", host.url, *arguments, BROKEN_KEY=f"{CANARY} two words")
    assert ended.code == 2, ended
    assert words in ended.err
    assert ended.out == ""
    assert CANARY not in ended.err
    assert not host.calls
    assert list(tmp_path.iterdir()) == [bad]
    assert Path("/dev/null").is_char_device()


def test_json_goes_to_standard_output_alone(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    document = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--json").json()
    assert set(document) == {"schema_version", "command", "range", "rows", "totals", "warnings"}
    assert (document["command"], document["rows"][0]["name"]) == ("run", "a")
    assert document["totals"]["cost_usd"] == "0.0000045"


def test_quiet_leaves_out_narration(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "-q").err == ""
