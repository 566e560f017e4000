"""`--results`: an evaluation's file, asked the same questions as a store."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.analytics_store import ask, run


def turn(**fields: Any) -> dict[str, Any]:
    return {
        "request_id": "r-1",
        "endpoint": "chat",
        "operation": "chat",
        "stream": False,
        "started_at": "2026-11-02T10:00:00.000000Z",
        "http_status": 200,
        "error_class": None,
        "provider": "openai",
        "request_model": None,
        "response_model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "usage": {
            "input_tokens": 1000,
            "cached_input_tokens": 0,
            "cache_write_tokens": None,
            "output_tokens": 100,
        },
        "duration_ms": 12.5,
        "time_to_first_token_ms": None,
        "cost_usd": "99.00",
        "output": "Paris",
    } | fields


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "gateway_results.json"
    write(path, [turn(), turn(request_id="r-2", response_model="home-made")], [turn(**LOST)])
    return path


LOST: dict[str, Any] = {
    "request_id": "r-3",
    "http_status": None,
    "error_class": "network",
    "response_model": None,
    "usage": None,
    "duration_ms": 3.0,
}


def write(path: Path, *cases: list[dict[str, Any]], **fields: Any) -> None:
    document = {
        "schema_version": 1,
        "tool": "gateway-eval",
        "version": "0.1.0",
        "base_url": "http://192.0.2.1:5000",
        "summary": {},
        "cases": [{"name": f"case {n}", "status": "passed", "turns": turns} for n, turns in enumerate(cases)],
    }
    path.write_text(json.dumps(document | fields))


def test_costs_and_requests_of_an_evaluation(results: Path) -> None:
    totals = ask(None, "costs", "--results", str(results))["totals"]
    assert (totals["requests"], totals["successful_requests"], totals["failed_requests"]) == (3, 2, 1)
    assert totals["cost_usd"] == "0.00021", "priced by the book, not by what the evaluation wrote down"
    assert totals["unpriced_requests"] == 1
    rows = ask(None, "requests", "--results", str(results), "--by", "host", "--by", "status")["rows"]
    assert [(row["host"], row["status"], row["requests"]) for row in rows] == [
        ("192.0.2.1:5000", 200, 2),
        ("192.0.2.1:5000", None, 1),
    ]


def test_the_environment_may_name_a_store_meanwhile(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ANALYTICS_STORE", "/nowhere")
    assert ask(None, "requests", "--results", str(results))["totals"]["requests"] == 3
    result = run(results.parent, "requests", "--results", str(results))
    assert result.exit_code == 2
    assert "--store and --results" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is no JSON"),
        ('[{"model": "gpt-4", "usage": {"prompt_tokens": 5}}]', "not written by gateway-eval"),
        ('{"tool": "gateway-eval", "schema_version": 9}', "schema_version 9"),
        ('{"tool": "gateway-eval", "schema_version": 1}', "no complete results file"),
        (
            '{"tool": "gateway-eval", "schema_version": 1, "base_url": "http://h", "cases": [1]}',
            "no complete",
        ),
    ],
)
def test_a_file_that_is_no_results_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    result = run(None, "costs", "--results", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    result = run(None, "costs", "--results", str(tmp_path / "gone.json"))
    assert result.exit_code == 2
    assert "gone.json cannot be read" in result.stderr


def test_calls_of_several_hosts_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "gateway_results.json"
    write(path, [turn()])
    document = json.loads(path.read_text())
    other = document["cases"][0] | {
        "base_url": "http://192.0.2.2:5000",
        "turns": [turn(request_id="r-2")] * 2,
    }
    path.write_text(json.dumps(document | {"cases": [*document["cases"], other]}))
    rows = ask(None, "costs", "--results", str(path), "--by", "host")["rows"]
    assert {row["host"]: row["requests"] for row in rows} == {"192.0.2.1:5000": 1, "192.0.2.2:5000": 2}
