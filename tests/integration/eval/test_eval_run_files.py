"""`gateway-eval run`: the files it leaves, also where it is interrupted."""

import json
import os
import signal
import socket
import subprocess
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from support.evaluation import (
    CANARY,
    GOOD,
    PROGRAM,
    gateway_eval,
    results,
    write_cases,
)
from support.hostile_server import (
    HostileServer,
    completion,
    http,
)


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


def test_interruption_ends_all_calls_under_way(host: HostileServer, tmp_path: Path) -> None:
    there = threading.Barrier(3)

    def never(_connection: socket.socket, server: HostileServer) -> None:
        there.wait(60)
        server.over.wait(60)

    host.will(never)
    cases = write_cases(tmp_path, *({"name": str(n)} for n in range(5)))
    process = subprocess.Popen(
        [PROGRAM, "run", host.url, "--cases", cases, "-j", "2", "-o", "r.json", "-o", "r.xml"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        there.wait(60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    document = results(tmp_path, "r.json")
    assert [case["error"]["class"] for case in document["cases"]] == ["interrupted"] * 2
    assert document["summary"]["not_run"] == 3
    assert "<skipped" in (tmp_path / "r.xml").read_text()


def test_bug_in_this_program_keeps_what_was_paid_for(
    host: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError(f"with a key in it: {CANARY}")

    monkeypatch.setattr("gateway_eval.runner.judge", broken)
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--api-key-env", "KEY", KEY=CANARY)
    assert ended.code == 70
    assert "a bug in this program: RuntimeError" in ended.err
    assert CANARY not in ended.out + ended.err
    document = results(tmp_path)
    assert (len(document["cases"]), document["summary"]["requests"], len(host.calls)) == (1, 1, 1)
    assert document["cases"][0]["status"] == "errored"
    assert document["cases"][0]["turns"][0]["output"] == "Ada"
