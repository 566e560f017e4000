"""Case files in YAML: what is read, and what YAML would lose or change without a word."""

from pathlib import Path

import pytest

from gateway_eval.cases import CasesError, load_cases, parse_cases
from gateway_eval.document import parse_yaml

CASES = """\
schema_version: 1
defaults: {checks: {usage_present: true}}
cases:
  - name: capital
    tags: [facts, quick]
    input: What is the capital of France?
    checks:
      icontains: paris
      latency_ms: {max: 2000}
"""


@pytest.mark.parametrize("suffix", ["yml", "yaml", "YML"])
def test_yaml_is_read_by_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cases.{suffix}"
    path.write_text(CASES)
    (case,) = load_cases(path)
    assert case.tags == {"facts", "quick"}
    assert case.calls[0].checks["latency_ms"] == {"max": 2000}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: a\n  input: x\n  input: y\n", "line 3, column 3: the key 'input' is given twice"),
        ("- name: a\n  input: [\n", "line 3"),
        ("- &a {name: a, input: x}\n- *a\n", "aliases"),
        ("- {1: a}\n", "a key has to be text"),
        ("- name: a\n  input: !!python/object:os.system x\n", "could not determine a constructor"),
        ("- name: 2024\n  input: x\n", "cases[0].name"),
        ("- name: a\n  input: yes\n", "cases[0].input"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(CasesError) as caught:
        parse_cases(text, "cases.yml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("cases.yml: ")
    assert "\n" not in str(caught.value)


def test_what_looks_like_a_date_stays_text() -> None:
    assert parse_yaml("day: 2026-11-23", "x.yml") == {"day": "2026-11-23"}
