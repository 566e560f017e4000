"""Case files of any content are read or refused, never a crash."""

import contextlib
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_eval.case_problems import case_schema
from gateway_eval.cases import CasesError, parse_cases

_NAMES = sorted(
    {
        name
        for place in ("file", "case", "turn", "request", "checks")
        for name in case_schema()["$defs"][place]["properties"]
    }
)
_plain = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(_NAMES)
)
_any = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
GOOD = {
    "schema_version": 1,
    "defaults": {"checks": {"status": 200}},
    "cases": [
        {
            "name": "a",
            "input": "x",
            "checks": {"tokens": {"input": {"min": 1}}, "is_json": {"type": "object"}},
        },
        {"name": "b", "turns": [{"user": "x", "checks": {"regex": "x"}}]},
        {"name": "c", "request": {"path": "/x", "body": {}}, "expect_error": ["quota"]},
    ],
}


def read(document: Any) -> None:
    with contextlib.suppress(CasesError):
        parse_cases(json.dumps(document), "cases.json")


@given(_any)
@settings(max_examples=80, deadline=None)
def test_any_json(document: Any) -> None:
    read(document)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of each value in a document."""
    found = [path] if path else []
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        found += places(inner, (*path, key))
    return found


@given(st.sampled_from(places(GOOD)), _any)
@settings(max_examples=200, deadline=None)
def test_a_good_file_with_anything_in_one_place(path: tuple[Any, ...], value: Any) -> None:
    document: Any = copy.deepcopy(GOOD)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    read(document)


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_any_text_as_yaml(text: str) -> None:
    with contextlib.suppress(CasesError):
        parse_cases(text, "cases.yml")
