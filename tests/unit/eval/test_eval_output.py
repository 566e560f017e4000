"""What a run looks like, to the byte."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway_contracts.exit_codes import ExitCode
from gateway_eval import results
from gateway_eval.failure import Failure, FailureClass, exit_code, one_line, worst
from gateway_eval.result_files import render
from gateway_eval.results import CaseResult
from gateway_eval.secrets import Secrets, key_from_environment
from gateway_eval.summary import as_table, rows, totals_line
from support.evaluation_run import example_run, example_run_on_two_hosts, turn
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(results, "version", lambda: "0.1.0")
    return example_run_on_two_hosts().as_dict()


def test_table_of_a_run() -> None:
    assert_golden(GOLDEN / "run.txt", as_table(example_run()))


def test_table_of_a_run_on_several_hosts() -> None:
    assert_golden(GOLDEN / "run_hosts.txt", as_table(example_run_on_two_hosts()))


def test_rows_and_totals_of_a_run() -> None:
    run = example_run()
    assert_golden(
        GOLDEN / "run.json", json.dumps({"rows": rows(run), "totals": run.summary()}, indent=2) + "\n"
    )


@pytest.mark.parametrize("suffix", [".json", ".xml", ".html"])
def test_result_files(document: dict[str, Any], suffix: str) -> None:
    assert_golden(GOLDEN / f"results{suffix}", render(document, suffix))


def test_page_shows_what_was_said_as_text_and_loads_nothing(document: dict[str, Any]) -> None:
    page = render(document, ".html")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=|@import|url\(", page)


def test_junit_is_xml_with_the_counts_that_build_servers_read(document: dict[str, Any]) -> None:
    suites = ElementTree.fromstring(render(document, ".xml"))
    assert {name: suites.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8",
        "failures": "1",
        "errors": "3",
        "skipped": "0",
    }
    assert len(suites.findall("./testsuite/testcase")) == 8
    assert [error.get("type") for error in suites.iter("error")] == ["quota", "network", "network"]
    assert [failure.get("type") for failure in suites.iter("failure")] == ["contains"]


def test_run_without_a_price_is_not_free() -> None:
    run = example_run()
    run.cases = [CaseResult("a", turns=[turn(None)])]
    assert "cost unknown (1 unpriced)" in totals_line(run)
    assert run.summary()["cost_usd"] is None


@pytest.mark.parametrize(
    ("failure_class", "http_status", "code"),
    [
        ("network", None, 3),
        ("network", 200, 1),
        ("timeout", None, 3),
        ("timeout", 504, 1),
        ("authentication", 401, 4),
        ("permission", 403, 4),
        ("quota", 429, 5),
        ("rate_limit", 429, 6),
        ("not_found", 404, 1),
        ("invalid_request", 400, 1),
        ("provider", 500, 1),
        ("gateway", 502, 1),
        ("protocol", 200, 1),
        ("stream_cut", 200, 1),
        ("missing_input", 200, 1),
        ("budget", None, 1),
        ("interrupted", None, 130),
    ],
)
def test_every_class_has_an_exit_code_and_advice(
    failure_class: str, http_status: int | None, code: int
) -> None:
    failure = Failure.of(FailureClass(failure_class), "x", http_status=http_status)
    assert exit_code(failure) == code
    assert failure.advice.endswith(".")


def test_the_cause_that_explains_the_most_decides() -> None:
    order = [130, 3, 4, 5, 6, 1]
    for position, code in enumerate(order):
        assert worst({ExitCode(other) for other in order[position:]}) == code
    assert worst(set()) == 0


def test_message_is_one_short_printable_line() -> None:
    assert one_line("a\n\tb\x1b[31m\x00 c") == "a b [31m c"
    assert len(one_line("x" * 10_000)) == 300


KEY = "sk-canary/91+c0ffee"


def test_key_is_taken_out_of_everything() -> None:
    secrets = Secrets(KEY, None)
    assert (
        secrets.redact(f"Bearer {KEY}, ?key=sk-canary%2F91%2Bc0ffee") == "Bearer [redacted], ?key=[redacted]"
    )
    document = {f"k{KEY}": [f"a{KEY}b", 7, None, {"deep": (KEY,)}]}
    assert KEY not in json.dumps(secrets.redact_all(document))
    assert secrets.redact_all([7, None, True]) == [7, None, True]


def test_word_that_is_no_secret_stays() -> None:
    assert Secrets("x", "").redact("text") == "text"


@pytest.mark.parametrize("value", [None, "", "  ", "two words", "line\nbreak", "käse-schlüssel"])
def test_key_that_cannot_be_one_is_refused_without_repeating_it(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("KEY", value)
    with pytest.raises(ValueError, match="the variable KEY") as caught:
        key_from_environment("KEY")
    assert not value or not value.strip() or value not in str(caught.value)


def test_key_may_end_in_a_line_break(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", f"{KEY}\n")
    assert key_from_environment("KEY") == KEY
