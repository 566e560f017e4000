"""`gateway-eval validate`: every problem of a case file, without a host."""

import json
from pathlib import Path

import jsonschema
import pytest

from support.evaluation import gateway_eval, write_cases


def test_valid_files(tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b", "turns": [{"user": "1"}, {"user": "2"}]})
    ended = gateway_eval(tmp_path, "validate", cases)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{cases}: valid, 2 cases, 3 calls\n"


def test_every_problem_of_every_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('[{"name": "a", "mesages": []}, {"name": "b", "checks": {"x": 1}}]')
    ended = gateway_eval(tmp_path, "validate", "bad.json", "missing.yml")
    assert ended.code == 2
    assert ended.out == ""
    for words in (
        "bad.json: cases[0]: unknown key 'mesages'",
        "cases[1].checks",
        "missing.yml: No such file",
    ):
        assert words in ended.err
    document = gateway_eval(tmp_path, "validate", "--json", "bad.json").json()
    assert document["rows"][0]["valid"] is False
    assert len(document["rows"][0]["problems"]) == 2
    assert document["totals"] == {"files": 1, "valid": 0}


def test_schema_is_written_for_other_programs(tmp_path: Path) -> None:
    ended = gateway_eval(tmp_path, "validate", "--schema")
    assert ended.code == 0
    jsonschema.Draft202012Validator(json.loads(ended.out)).validate([{"name": "a", "input": "Hi"}])


@pytest.mark.parametrize("arguments", [[], ["--schema", "cases.json"]])
def test_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    assert gateway_eval(tmp_path, "validate", *arguments).code == 2
