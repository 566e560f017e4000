"""`gateway-eval compare`: what it calls a regression, and what it shows."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from support.evaluation import gateway_eval
from support.golden import assert_golden

GOLDEN = Path(__file__).with_name("golden")


def run(name: str, status: str = "passed", ms: float = 100, tokens: int | None = 45, **more: Any) -> Any:
    """Return a case of a results file, with one call."""
    turn = {
        "turn": 1,
        "attempt": 1,
        "duration_ms": ms,
        "time_to_first_token_ms": more.get("ttft"),
        "usage": {"output_tokens": tokens},
        "cost_usd": more.get("cost", "0.00003"),
    }
    return {"name": name, "status": status, "turns": [] if status == "errored" else [turn]}


def write(path: Path, *cases: Any, **more: Any) -> str:
    document = {"schema_version": 1, "tool": "gateway-eval", "cases": list(cases), **more}
    path.write_text(json.dumps(document))
    return str(path)


def spread(name: str, ms: float, times: int = 8, **more: Any) -> list[Any]:
    """Return runs of a case whose times vary by a few per cent around some milliseconds."""
    chance = random.Random(f"{name} {ms}")
    return [run(name, ms=round(ms * chance.lognormvariate(0, 0.03), 1), **more) for _ in range(times)]


def compare(tmp_path: Path, before: list[Any], after: list[Any], *options: str) -> tuple[int, list[str]]:
    """Return the exit code, and the regressions."""
    files = write(tmp_path / "a.json", *before), write(tmp_path / "b.json", *after)
    ended = gateway_eval(tmp_path, "compare", *files, "--json", *options)
    regressions: list[str] = ended.json()["totals"]["regressions"]
    return ended.code, regressions


def test_nothing_changed(tmp_path: Path) -> None:
    runs = spread("a", 100) + spread("b", 2000)
    assert compare(tmp_path, runs, runs) == (0, [])


def test_slower_beyond_the_threshold(tmp_path: Path) -> None:
    code, found = compare(tmp_path, spread("a", 100), spread("a", 150))
    assert code == 1
    assert len(found) == 2, "the case, and all cases together"
    assert found[0].startswith("a: latency +")


@pytest.mark.parametrize(
    ("before", "after", "options"),
    [
        (spread("a", 100), spread("a", 115), []),
        (spread("a", 100), spread("a", 150), ["--max-latency-increase", "80%"]),
        (spread("a", 100), spread("a", 150), ["--max-latency-increase", "none"]),
        (spread("a", 100), spread("a", 150), ["--ignore-ms", "60"]),
        (spread("a", 150), spread("a", 100), []),
        # One run each proves nothing.
        ([run("a", ms=100)], [run("a", ms=300)], []),
        # Neither do runs that vary more than they differ.
        ([run("a", ms=ms) for ms in (50, 100, 400)], [run("a", ms=ms) for ms in (60, 150, 600)], []),
        (spread("a", 100), spread("a", 100, tokens=450), []),
    ],
)
def test_no_regression(tmp_path: Path, before: list[Any], after: list[Any], options: list[str]) -> None:
    assert compare(tmp_path, before, after, *options) == (0, [])


@pytest.mark.parametrize(
    ("after", "options", "words"),
    [
        (spread("a", 100, cost="0.00004"), [], "a: cost +33 %"),
        (spread("a", 100, tokens=60), ["--max-tokens-increase", "10"], "a: output tokens +33 %"),
        (spread("a", 100, ttft=90.0), [], "a: time to first token +"),
        (spread("a", 110), ["--max-latency-increase", "1"], "a: latency +"),
        (spread("a", 150), ["--ignore-ms", "40"], "a: latency +"),
        (spread("a", 100, cost="0.00004"), ["--ignore-ms", "1000"], "a: cost +33 %"),
        ([*spread("a", 100)[:-1], run("a", "failed")], [], "a: pass rate from 8/8 to 7/8"),
        ([run("a", "errored")] * 8, [], "a: pass rate from 8/8 to 0/8"),
    ],
)
def test_regressions(tmp_path: Path, after: list[Any], options: list[str], words: str) -> None:
    code, found = compare(tmp_path, spread("a", 100, ttft=30.0), after, *options)
    assert code == 1
    assert any(line.startswith(words) for line in found), found


def test_one_failed_run_is_enough_unless_a_drop_is_allowed(tmp_path: Path) -> None:
    before, after = [run("a")], [run("a", "failed")]
    assert compare(tmp_path, before, after)[0] == 1
    assert compare(tmp_path, before, after, "--max-pass-rate-drop", "100")[0] == 0
    assert compare(tmp_path, after, before) == (0, [])


def test_overall_judges_all_cases_together_but_each_pass_rate(tmp_path: Path) -> None:
    before = spread("a", 100) + spread("b", 100) + spread("c", 100)
    one_slower = spread("a", 150) + spread("b", 100) + spread("c", 100)
    assert compare(tmp_path, before, one_slower)[0] == 1
    assert compare(tmp_path, before, one_slower, "--overall") == (0, [])
    one_failed = [run("a", "failed"), *before[1:]]
    assert compare(tmp_path, before, one_failed, "--overall", "--max-pass-rate-drop", "10")[0] == 1


def test_cases_that_only_one_file_has(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.json", run("x"), run("y")), write(tmp_path / "b.json", run("x"), run("z"))
    ended = gateway_eval(tmp_path, "compare", a, b)
    assert ended.code == 1
    assert "a.json: y" in ended.err
    assert gateway_eval(tmp_path, "compare", a, b, "--ignore-missing").code == 0
    assert gateway_eval(tmp_path, "compare", a, write(tmp_path / "c.json", run("z"))).code == 1


def test_attempts_after_the_first_cost_but_do_not_count_twice(tmp_path: Path) -> None:
    retried = run("a")
    retried["turns"] = [{**retried["turns"][0], "attempt": n, "duration_ms": 100.0} for n in (1, 2)]
    files = write(tmp_path / "a.json", run("a"), run("a")), write(tmp_path / "b.json", retried, retried)
    (row,) = gateway_eval(tmp_path, "compare", *files, "--json").json()["rows"]
    assert row["latency_ms"]["after"] == 100
    assert row["cost_usd"]["after"] == 0.00006


RESULTS = """
{"tool": "gateway-eval", "schema_version": 1, "cases": [{"name": "a", "status": "passed",
  "turns": [{"turn": 1, "time_to_first_token_ms": null, %s}]}]}
"""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no JSON", "no JSON"),
        ("[]", "no results of a run"),
        ('{"tool": "gateway-eval", "schema_version": 1}', "no results of a run"),
        ('{"tool": "gateway-eval", "schema_version": 2, "cases": []}', "schema_version 2"),
        ('{"tool": "gateway-eval", "schema_version": 1, "cases": [{"name": "a"}]}', "not complete"),
        (RESULTS % '"duration_ms": "fast"', "not complete"),
        (RESULTS % '"duration_ms": 1, "usage": {"output_tokens": 1}, "cost_usd": "much"', "not complete"),
    ],
)
def test_file_that_is_no_results_file(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    good = write(tmp_path / "a.json", run("a"))
    ended = gateway_eval(tmp_path, "compare", good, "bad.json")
    assert ended.code == 2
    assert words in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("value", ["much", "-1", "nan"])
def test_threshold_that_is_none(tmp_path: Path, value: str) -> None:
    good = write(tmp_path / "a.json", run("a"))
    assert gateway_eval(tmp_path, "compare", good, good, "--max-cost-increase", value).code == 2


def example(tmp_path: Path) -> tuple[str, str]:
    before = [
        run("health", tokens=None),
        *spread("question", 800, ttft=200.0),
        *spread("memory", 1500),
        run("once"),
    ]
    after = [
        run("health", tokens=None),
        *spread("question", 1100, ttft=150.0),
        *spread("memory", 1480)[:-1],
        run("memory", "failed", ms=1490),
        run("once", ms=130),
    ]
    for case in (before[0], after[0]):
        case["turns"] = []
    return write(tmp_path / "a.json", *before), write(tmp_path / "b.json", *after)


def test_screen(tmp_path: Path) -> None:
    assert_golden(GOLDEN / "compare.txt", gateway_eval(tmp_path, "compare", *example(tmp_path)).out)


def test_json(tmp_path: Path) -> None:
    document = gateway_eval(tmp_path, "compare", *example(tmp_path), "--json").json()
    assert set(document) == {"schema_version", "command", "range", "rows", "totals", "warnings"}
    kept = {"rows": document["rows"], "totals": document["totals"]}
    assert_golden(GOLDEN / "compare.json", json.dumps(kept, indent=2) + "\n")
