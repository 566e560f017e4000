"""`gateway-eval run`: exit codes, the results file, budgets, retries, and keys that stay hidden."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from support.evaluation import PROGRAM, gateway_eval, results
from support.hostile_server import (
    Answer,
    HostileServer,
    completion,
    echo_key,
    echo_key_in_answer,
    event,
    hang,
    hostile_server,
    http,
    reset,
    stream,
)

CANARY = "sk-canary-5a1f77c09be34d21"
QUOTA = http(429, {"error": {"message": "No credit", "code": "insufficient_quota"}})
RATE_LIMIT = http(429, {"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, Retry_After="0")
KEY_REFUSED = http(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}})
BROKEN = http(500, {"error": {"message": "The server had an error"}})
GOOD = http(200, completion(), X_Request_ID="request-1")


@pytest.fixture
def host() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


def write_cases(directory: Path, *cases: dict[str, Any]) -> str:
    path = directory / "cases.json"
    path.write_text(json.dumps([{"messages": [{"role": "user", "content": "Hi"}], **case} for case in cases]))
    return str(path)


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


def test_results_file_has_what_was_agreed(host: HostileServer, tmp_path: Path) -> None:
    answer = completion(service_tier="default")
    answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
    host.will(http(200, answer, X_Request_ID="request-1"))
    cases = write_cases(tmp_path, {"name": "a", "checks": {"contains": "Ada"}})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases).code == 0
    document = results(tmp_path)
    assert document["schema_version"] == 1
    assert document["tool"] == "gateway-eval"
    assert document["base_url"] == host.url
    # Of gpt-4o-mini: 6 input tokens at 0.15, 4 cached ones at 0.075 and 5 output tokens at 0.60 per million.
    cost = str((6 * Decimal("0.15") + 4 * Decimal("0.075") + 5 * Decimal("0.60")) / 1_000_000)
    expected_summary = {
        "cases": 1,
        "passed": 1,
        "failed": 0,
        "errored": 0,
        "requests": 1,
        "input_tokens": 10,
        "output_tokens": 5,
        "cost_usd": cost,
        "unpriced_requests": 0,
    }
    assert document["summary"].items() >= expected_summary.items()
    (case,) = document["cases"]
    assert (case["name"], case["status"], case["error"]) == ("a", "passed", None)
    (turn,) = case["turns"]
    expected_turn = {
        "request_id": "request-1",
        "endpoint": "chat",
        "operation": "chat",
        "stream": False,
        "http_status": 200,
        "error_class": None,
        "provider": "openai",
        "request_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "time_to_first_token_ms": None,
        "cost_usd": cost,
        "cost_source": "computed",
        "output": "Ada",
        "error": None,
    }
    assert turn.items() >= expected_turn.items()
    counted = {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 5}
    unknown = {"cache_write_tokens": None, "reasoning_tokens": None}
    assert turn["usage"].items() >= (counted | unknown).items()
    assert turn["duration_ms"] > 0
    assert turn["started_at"].endswith("Z")
    (check,) = turn["checks"]
    assert (check["name"], check["passed"]) == ("contains", True)


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
    cases = write_cases(tmp_path, {"name": "a", "checks": {"max_output_tokens": 9}})
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


def test_retry_is_explicit_and_recorded(host: HostileServer, tmp_path: Path) -> None:
    host.will(RATE_LIMIT, RATE_LIMIT, GOOD)
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--retry", "2").code == 0
    turns = results(tmp_path)["cases"][0]["turns"]
    assert [(turn["attempt"], turn["error_class"]) for turn in turns] == [
        (1, "rate_limit"),
        (2, "rate_limit"),
        (3, None),
    ]
    assert results(tmp_path)["summary"]["requests"] == 3


@pytest.mark.parametrize("answer", [QUOTA, KEY_REFUSED], ids=["quota", "key"])
def test_what_does_not_pass_by_itself_is_not_retried(
    host: HostileServer, tmp_path: Path, answer: bytes
) -> None:
    host.will(answer)
    gateway_eval(tmp_path, "run", host.url, "--cases", write_cases(tmp_path, {"name": "a"}), "--retry", "5")
    assert len(host.calls) == 1


def test_long_retry_after_is_not_waited_for(host: HostileServer, tmp_path: Path) -> None:
    host.will(http(429, {"error": {"message": "Slow down"}}, Retry_After="3600"))
    cases = write_cases(tmp_path, {"name": "a"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--retry", "1")
    assert ended.code == 6
    assert "3600 s" in ended.err
    assert len(host.calls) == 1


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


# A call costs $0.0000045: 10 tokens in and 5 out of gpt-4o-mini.
@pytest.mark.parametrize(("limit", "calls", "code"), [("0.0000045", 1, 1), ("0.000005", 2, 1), ("1", 4, 0)])
def test_budget_stops_the_run(host: HostileServer, tmp_path: Path, limit: str, calls: int, code: int) -> None:
    cases = write_cases(tmp_path, *({"name": str(n)} for n in range(4)))
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", limit)
    assert ended.code == code
    assert len(host.calls) == calls


def test_budget_spent_by_the_last_call_is_told(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", "0.000001")
    assert ended.code == 1
    assert "more than --max-cost" in ended.err


def test_budget_that_cannot_be_watched_stops_the_run(host: HostileServer, tmp_path: Path) -> None:
    """A model without a price must not count as free."""
    host.gets["/api/2.0/endpoints/"] = http(
        200,
        {
            "endpoints": [
                {
                    "name": "chat",
                    "endpoint_type": "llm/v1/chat",
                    "model": {"name": "mystery", "provider": "nobody"},
                }
            ]
        },
    )
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", "1")
    assert ended.code == 1
    assert len(host.calls) == 1
    assert "could not be priced" in ended.err
    document = results(tmp_path)
    assert document["summary"]["cost_usd"] is None
    assert document["summary"]["unpriced_requests"] == 1
    assert document["cases"][0]["turns"][0]["cost_source"] is None


def test_own_prices(host: HostileServer, tmp_path: Path) -> None:
    book = tmp_path / "prices.yml"
    book.write_text(
        "schema_version: 1\nprices:\n"
        "  - {provider: openai, model: gpt-4o-mini, valid_from: 2020-01-01,"
        ' usd_per_million: {input: "1000000", output: "2000000"}}\n'
    )
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--prices", str(book)).code == 0
    assert results(tmp_path)["summary"]["cost_usd"] == "20.00"


def test_cost_stated_by_the_provider_wins(host: HostileServer, tmp_path: Path) -> None:
    answer = completion()
    answer["usage"]["cost"] = 0.00042
    host.will(http(200, answer))
    gateway_eval(tmp_path, "run", host.url, "--cases", write_cases(tmp_path, {"name": "a"}))
    (turn,) = results(tmp_path)["cases"][0]["turns"]
    assert (turn["cost_usd"], turn["cost_source"]) == ("0.00042", "provider")


@pytest.mark.parametrize("answer", [echo_key, echo_key_in_answer], ids=["error", "answer"])
def test_key_is_nowhere_even_if_the_host_repeats_it(
    host: HostileServer, tmp_path: Path, answer: Answer
) -> None:
    host.will(answer)
    cases = write_cases(tmp_path, {"name": "a", "checks": {"equals": "x"}})
    for form in ("table", "json"):
        ended = gateway_eval(
            tmp_path, "run", host.url, "--cases", cases, "--api-key-env", "KEY", "--format", form, KEY=CANARY
        )
        assert host.calls[-1].headers["authorization"] == f"Bearer {CANARY}"
        assert ended.code in (1, 4)
        kept = (tmp_path / "gateway_results.json").read_text()
        for text in (ended.out, ended.err, kept):
            assert CANARY not in text
            assert "[redacted]" in text or text is ended.err


def test_no_key_is_sent_unless_asked_for(host: HostileServer, tmp_path: Path) -> None:
    gateway_eval(tmp_path, "run", host.url, OPENAI_API_KEY=CANARY)
    assert host.calls
    assert all("authorization" not in request.headers for request in host.requests)


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


def test_gateway_analytics_reads_the_same_cost_from_the_results(host: HostileServer, tmp_path: Path) -> None:
    late = http(504, b"<html></html>", "text/html")
    host.will(
        GOOD, http(200, {"choices": []}), QUOTA, BROKEN, late, reset, stream(event({"content": "cut"})), GOOD
    )
    cases = write_cases(tmp_path, *({"name": str(n), "stream": n == 6} for n in range(8)))
    gateway_eval(tmp_path, "run", host.url, "--cases", cases)
    summary = results(tmp_path)["summary"]
    analytics = PROGRAM.replace("gateway-eval", "gateway-analytics")
    ended = subprocess.run(
        [analytics, "costs", "--results", "gateway_results.json", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    totals = json.loads(ended.stdout)["totals"]
    for name in ("requests", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests"):
        assert totals[name] == summary[name], name
    # The answer without choices, the one that came too late and the cut stream.
    assert summary["unpriced_requests"] == 3


def test_json_goes_to_standard_output_alone(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    document = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--json").json()
    assert set(document) == {"schema_version", "command", "range", "rows", "totals", "warnings"}
    assert (document["command"], document["rows"][0]["name"]) == ("run", "a")
    assert document["totals"]["cost_usd"] == "0.0000045"


def test_quiet_leaves_out_narration(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "-q").err == ""


def test_old_results_stay_until_the_new_ones_are_whole(host: HostileServer, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("old")
    link = tmp_path / "gateway_results.json"
    link.symlink_to(kept)
    during_the_run = []

    def look(connection: socket.socket, _server: HostileServer) -> None:
        during_the_run.append(kept.read_text())
        connection.sendall(GOOD)

    host.will(look)
    assert gateway_eval(tmp_path, "run", host.url, "--cases", write_cases(tmp_path, {"name": "a"})).code == 0
    assert during_the_run == ["old"]
    assert link.is_symlink()
    assert json.loads(kept.read_text())["summary"]["passed"] == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"cases.json", "gateway_results.json", "kept.json"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_interruption_keeps_what_was_done(host: HostileServer, tmp_path: Path, number: int) -> None:
    asked = threading.Event()

    def never(_connection: socket.socket, server: HostileServer) -> None:
        asked.set()
        server.over.wait(60)

    host.will(GOOD, never)
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b"}, {"name": "c"})
    process = subprocess.Popen(
        [PROGRAM, "run", host.url, "--cases", cases],
        cwd=tmp_path,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert asked.wait(30)
        process.send_signal(number)
        out, _err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert b"1 not run (interrupted)" in out
    document = results(tmp_path)
    assert [(case["name"], case["status"]) for case in document["cases"]] == [
        ("a", "passed"),
        ("b", "errored"),
    ]
    assert document["cases"][1]["error"]["class"] == "interrupted"
    # The call under way may be billed, so it is counted, and counted as unpriced.
    assert (document["summary"]["requests"], document["summary"]["unpriced_requests"]) == (2, 1)
