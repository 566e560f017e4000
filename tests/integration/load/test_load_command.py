"""`gateway-eval load` against the emulator, which counts for itself what reached it."""

import contextlib
import json
import os
import pty
import signal
import subprocess

import pytest

from support.certificates import certificate_for
from support.emulator import running_emulator
from support.evaluation import PROGRAM, gateway_eval

KEY = "sk-canary-0123456789"


@pytest.fixture
def load(emulator, tmp_path):
    def load(*arguments, url=emulator.base_url, key=KEY):
        given = ["load", url, "--endpoint", "chat", "--api-key-env", "KEY", "-q", *arguments]
        return gateway_eval(tmp_path, *given, KEY=key)

    return load


def totals(ended):
    return ended.json()["totals"]


def distribution(ended, quantity):
    [row] = [row for row in ended.json()["rows"] if row["quantity"] == quantity]
    return row


def test_a_closed_loop_makes_as_many_calls_as_asked_on_one_connection_each(load, emulator):
    ended = load("--concurrency", "3", "--requests", "40", "--json")
    assert ended.code == 0
    seen, counted = totals(ended), emulator.stats()
    assert (seen["requests"], seen["failed_requests"], counted["completed"]) == (40, 0, 40)
    assert seen["client"]["connections"] == 3
    assert distribution(ended, "latency_ms")["count"] == 40


def test_a_dry_run_calls_no_model_and_leaves_no_file(load, emulator, tmp_path):
    ended = load("--rate", "100", "--duration", "10s", "--dry-run", "--json")
    assert (ended.code, totals(ended)["requests"]) == (0, 1000)
    assert emulator.stats()["received"] == 0
    assert list(tmp_path.glob("gateway_load*")) == []


def test_an_open_loop_sends_at_its_rate_and_counts_what_the_emulator_counts(load, emulator):
    ended = load("--rate", "100", "--duration", "1s", "--json")
    seen, counted = totals(ended), emulator.stats()
    assert seen["requests"] == counted["completed"] == 100
    assert seen["offered_per_s"] == 100
    assert (counted["input_tokens"], counted["output_tokens"]) == (1100, 4500)


def test_latency_counts_from_when_a_call_was_due_not_from_when_it_could_be_sent(load):
    # Each call takes 0.2 s and there is one connection: the n-th of ten that were due within 0.1 s waits for
    # all before it.
    question = ("--parameters", '{"max_tokens": 1}')
    with running_emulator(delay_ms=200) as slow:
        ended = load(
            "--rate",
            "100",
            "--requests",
            "10",
            "--max-connections",
            "1",
            "--json",
            *question,
            url=slow.base_url,
        )
    latency = distribution(ended, "latency_ms")
    assert latency["min"] >= 199  # the emulator's clock has milliseconds
    assert latency["max"] >= 10 * 199 - 90
    assert totals(ended)["client"]["waited_for_connection"] == 9
    assert "waited for one of 1 connections" in ended.err


def test_warm_up_and_ramp_are_not_measured(load, emulator):
    ended = load("--rate", "100", "--ramp", "500ms", "--warm-up", "300ms", "--duration", "500ms", "--json")
    assert totals(ended)["requests"] == 50
    # Half the rate over the ramp, all of it over the warm-up.
    assert emulator.stats()["completed"] == 25 + 30 + 50


def test_streams_have_a_first_token(load, emulator):
    ended = load("--concurrency", "2", "--requests", "4", "--stream", "--json")
    assert emulator.stats()["streams"]["completed"] == 4
    first, whole = distribution(ended, "ttft_ms"), distribution(ended, "latency_ms")
    assert first["count"] == 4
    assert 0 < first["p50"] <= whole["p50"]


def test_pace_of_tokens_is_that_of_the_model_however_they_are_sent(load, tmp_path):
    (tmp_path / "prompts.txt").write_text("Go on [emulator:tokens=21] [emulator:token_delay=0.02]\n")
    ended = load("--concurrency", "1", "--requests", "2", "--stream", "--json", "--prompts", "prompts.txt")
    between = distribution(ended, "inter_token_ms")
    assert between["count"] == 2
    assert between["min"] >= 19  # 20 ms a token, on clocks of a millisecond
    assert distribution(ended, "inter_chunk_ms")["count"] == 2 * 20


def test_thinking_that_is_not_sent_is_no_time_between_tokens(load, tmp_path):
    prompt = "[emulator:reasoning=100] [emulator:tokens=11] [emulator:token_delay=0.01]"
    (tmp_path / "prompts.txt").write_text(prompt)
    ended = load("--concurrency", "1", "--requests", "1", "--stream", "--json", "--prompts", "prompts.txt")
    assert distribution(ended, "ttft_ms")["min"] >= 1000
    assert distribution(ended, "inter_token_ms")["min"] >= 9


def test_texts_have_as_many_tokens_as_asked_and_no_two_are_alike(load, emulator):
    assert load("--concurrency", "1", "--requests", "3", "--prompt-tokens", "50,400").code == 0
    frame = 7  # what a chat costs besides its text, by the emulator's rule
    assert [entry["input_tokens"] - frame for entry in reversed(emulator.requests())] == [50, 400, 50]


def test_prompts_of_a_file_are_asked_in_turn(load, emulator, tmp_path):
    lines = [{"prompt": "one"}, {"messages": [{"role": "user", "content": "[emulator:id=second]"}]}]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert load("--concurrency", "1", "--requests", "4", "--prompts", "prompts.jsonl").code == 0
    asked = [entry["request_id"] == "second" for entry in reversed(emulator.requests())]
    assert asked == [False, True, False, True]


@pytest.mark.parametrize(
    ("objective", "code"),
    [
        ("latency_ms.p99<=60000", 0),
        ("latency_ms.p50<=0.001", 1),
        ("error_rate<=0", 0),
        ("requests_per_s>=1000000", 1),
        ("errors.timeout<1", 0),
        ("output_tokens_per_s>1", 0),
    ],
)
def test_objectives_decide_the_exit_code(load, objective, code):
    ended = load("--concurrency", "1", "--requests", "5", "--slo", objective, "--json")
    assert ended.code == code
    assert [verdict["passed"] for verdict in totals(ended)["slos"]] == [code == 0]


def test_an_objective_may_allow_some_errors_that_otherwise_fail(load, tmp_path):
    (tmp_path / "prompts.txt").write_text("fine\nfine\nfine\n[emulator:rate_limit]\n")
    arguments = ("--concurrency", "1", "--requests", "8", "--prompts", "prompts.txt", "--json")
    ended = load(*arguments)
    assert ended.code == 6
    assert totals(ended)["errors"]["rate_limit"]["count"] == 2
    assert load(*arguments, "--slo", "error_rate<=0.25").code == 0


def test_a_load_of_which_nothing_succeeds_ends_with_its_cause_however_it_is_judged(load, emulator):
    # With --api the list of models, which is refused too, is not insisted on.
    arguments = ("--rate", "500", "--duration", "60s", "--slo", "error_rate<=1", "--api", "openai", "--json")
    ended = load(*arguments, key="wrong-key-000")
    assert ended.code == 4
    assert totals(ended)["errors"]["authentication"]["count"] == totals(ended)["requests"] >= 100
    assert emulator.stats()["received"] < 1000


def test_a_host_that_refuses_everything_is_not_loaded_on(load, emulator, tmp_path):
    (tmp_path / "prompts.txt").write_text("[emulator:quota]")
    ended = load("--rate", "500", "--duration", "60s", "--prompts", "prompts.txt", "--json")
    assert ended.code == 5
    assert totals(ended)["stopped"] == "hopeless"
    assert emulator.stats()["received"] < 1000


PRICES = """
schema_version: 1
prices:
  - provider: emulator
    model: chat
    valid_from: 2020-01-01
    usd_per_million: {input: "1000", output: "1000"}
"""


def test_the_cost_of_every_call_is_told_that_of_the_warm_up_too(load, tmp_path):
    (tmp_path / "prices.yml").write_text(PRICES)
    arguments = ("--prices", "prices.yml", "--provider", "emulator", "--json", "--max-cost", "50")
    ended = load("--rate", "50", "--requests", "10", "--warm-up", "100ms", *arguments)
    assert ended.code == 0
    # 15 calls of 11 tokens in and 45 out, each for a thousandth of a dollar.
    assert totals(ended)["cost_usd"] == "0.84"
    assert totals(ended)["unpriced_requests"] == 0


def test_a_load_ends_when_its_budget_is_spent(load, emulator, tmp_path):
    (tmp_path / "prices.yml").write_text(PRICES)
    arguments = ("--prices", "prices.yml", "--provider", "emulator", "--json", "--max-cost", "0.5")
    ended = load("--concurrency", "2", "--duration", "60s", *arguments)
    assert ended.code == 1
    assert totals(ended)["stopped"] == "budget"
    # The ninth call spends it; the other caller may have one under way.
    assert 9 <= emulator.stats()["completed"] <= 10
    assert float(totals(ended)["cost_usd"]) == pytest.approx(0.056 * emulator.stats()["completed"])
    assert "--max-cost is $0.5" in ended.err


def test_a_budget_that_cannot_be_watched_ends_the_load_at_once(load, emulator):
    ended = load("--concurrency", "1", "--duration", "60s", "--max-cost", "0.5", "--json")
    assert ended.code == 1
    assert emulator.stats()["completed"] == 1
    assert totals(ended)["cost_usd"] is None
    assert totals(ended)["unpriced_requests"] == 1


def test_headers_go_with_every_call(load, emulator):
    assert load("--concurrency", "1", "--requests", "3", "--header", "X-Request-ID: mine").code == 0
    assert [entry["request_id"] for entry in emulator.requests()] == ["mine"] * 3


def test_nothing_listens(load):
    ended = load("--rate", "10", "--duration", "1s", url="http://127.0.0.1:9")
    assert ended.code == 3
    assert "refused" in ended.err


def test_a_host_that_goes_away_under_load_is_counted_not_hidden(tmp_path):
    # 60 calls of 2 callers take more than 4 s, which leaves time to end the host under them.
    with running_emulator(delay_ms=150) as host:
        arguments = [PROGRAM, "load", host.base_url, "--endpoint", "x", "--concurrency", "2"]
        arguments += ["--requests", "60", "--json", "-q", "--api-key-env", "KEY"]
        process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, env={"KEY": "k-123456"})
        host.wait_until("completed >= 4", seconds=60)
        host.process.kill()
        host.process.wait()
        out, _ = process.communicate(timeout=60)
    seen = json.loads(out)["totals"]
    assert seen["requests"] == 60
    assert seen["failed_requests"] == seen["errors"]["network"]["count"] > 0


def test_an_interrupted_load_keeps_what_it_measured(emulator, tmp_path):
    arguments = [PROGRAM, "load", emulator.base_url, "--endpoint", "chat", "--rate", "50"]
    arguments += ["--duration", "1h", "-q", "--api-key-env", "KEY"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, env={"KEY": KEY})
    emulator.wait_until("completed >= 10", seconds=30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    kept = json.loads((tmp_path / "gateway_load.json").read_text())
    assert kept["totals"]["stopped"] == "interrupted"
    assert kept["totals"]["requests"] >= 10
    assert kept["totals"]["failed_requests"] == 0, "what was under way was not failed by the host"
    assert kept["totals"]["duration_s"] < 3600


def test_results_go_where_their_names_say(load, tmp_path):
    ended = load("--concurrency", "1", "--requests", "3", "--results", "a.json", "--results", "a.html")
    assert ended.code == 0
    assert "3 requests" in ended.out
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["totals"]["requests"] == 3
    assert document["plan"]["concurrency"] == 1
    page = (tmp_path / "a.html").read_text()
    assert "<svg" in page
    assert "http://" not in page.replace(document["base_url"], "")  # nothing is loaded from anywhere
    assert "<script" not in page
    assert not (tmp_path / "gateway_load.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either --rate"),
        (["--rate", "1", "--concurrency", "1"], "either --rate"),
        (["--rate", "1"], "either --duration or --requests"),
        (["--concurrency", "1", "--duration", "soon"], "write it as 30s"),
        (["--concurrency", "1", "--duration", "1s", "--poisson"], "--poisson goes with --rate"),
        (["--concurrency", "1", "--requests", "1", "--slo", "ttft_ms.p95<=1"], "add --stream"),
        (["--concurrency", "1", "--requests", "1", "--slo", "latncy_ms.p95<=1"], "did you mean latency_ms"),
        (["--concurrency", "1", "--requests", "1", "--prompt-tokens", "1"], "no number of tokens"),
        (["--concurrency", "1", "--requests", "1", "--parameters", "[]"], "--parameters takes a JSON object"),
        (["--concurrency", "1", "--requests", "1", "--results", "a.txt"], "ends in .json or .html"),
        (["--concurrency", "1", "--requests", "1", "--results", "no/a.json"], "cannot be written"),
        (["--concurrency", "1", "--requests", "1", "--prompts", "empty.txt"], "has no prompt"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_called(load, emulator, tmp_path, arguments, said):
    (tmp_path / "empty.txt").touch()
    ended = load(*arguments)
    assert ended.code == 2
    assert said in ended.err
    assert emulator.stats()["received"] == 0


def test_a_load_over_tls_trusts_whom_the_environment_names(tmp_path):
    certificate, key = certificate_for(tmp_path, "localhost")
    with running_emulator("localhost", tls_certificate=certificate, tls_key=key) as host:
        arguments = ["load", host.base_url, "--endpoint", "x", "--concurrency", "2", "--requests", "6", "-q"]
        arguments += ["--api-key-env", "KEY"]
        trusted = gateway_eval(tmp_path, *arguments, KEY="k-123456", REQUESTS_CA_BUNDLE=str(certificate))
        assert trusted.code == 0, trusted.err
        assert gateway_eval(tmp_path, *arguments, KEY="k-123456").code == 3


def test_without_quiet_progress_is_told_on_standard_error(emulator, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway_eval.load.live_view._Lines.every", 0.2)
    arguments = ("--endpoint", "chat", "--api-key-env", "KEY", "--rate", "20", "--duration", "1s")
    ended = gateway_eval(tmp_path, "load", emulator.base_url, *arguments, KEY=KEY)
    assert ended.code == 0
    assert "answers/s" in ended.err
    assert "results: gateway_load.json" in ended.err
    assert "answers/s" not in ended.out


def test_in_a_terminal_a_picture_is_drawn_there_and_none_where_data_goes(emulator, tmp_path):
    screen, terminal = pty.openpty()
    arguments = [PROGRAM, "load", emulator.base_url, "--endpoint", "chat", "--api-key-env", "KEY"]
    arguments += ["--rate", "20", "--duration", "2s", "--json"]
    process = subprocess.Popen(
        arguments,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={"KEY": KEY, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminal)
    drawn = b""
    with contextlib.suppress(OSError):  # how the end of a terminal is told
        while piece := os.read(screen, 65536):
            drawn += piece
    os.close(screen)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    for part in ("of 2 s", "answers/s", "p50 / p99", "under way"):
        assert part in drawn.decode()
    assert json.loads(out)["totals"]["requests"] == 40
