"""The request record's contract: what is documented, what a line may hold, and that no input breaks it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_contracts.request_record import FIELDS, MAX_LINE_BYTES, encode, problem

PAGE = Path(__file__).parents[3] / "docs" / "request-record.md"

WHOLE: dict[str, Any] = {
    "schema_version": 1,
    "request_id": "r-1",
    "boot_id": "b-1",
    "sequence": 1,
    "attempt": 1,
    "final": True,
    "received_at": "2026-01-02T03:04:05.000006Z",
    "host": "gateway-1",
    "instance": "llm-gateway-1",
    "client_address": "192.0.2.7",
    "stream": False,
    "http_status": 200,
    "duration_ms": 1.5,
    "request_bytes": 10,
    "response_bytes": 20,
    "gateway_version": "1.2.3",
    "config_digest": "0123456789ab",
}

# Of any length, with what JSON escapes, what UTF-8 makes long, and what has no UTF-8 form at all.
PIECE = st.text(max_size=4) | st.sampled_from(["\ud800", "\x00", '"', "\n", "\N{GRINNING FACE}"])
TEXT = st.builds(
    lambda pieces, times: "".join(pieces) * times, st.lists(PIECE, max_size=4), st.integers(0, 2000)
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
REQUIRED = [field.name for field in FIELDS if not field.nullable]
OPTIONAL = [field.name for field in FIELDS if field.nullable]
TEXTS = [field.name for field in FIELDS if field.type == "text"]


def test_the_documented_table_is_the_contract() -> None:
    section = PAGE.read_text().split("## Fields")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z_]+) \| ([a-z]+\??) \| (.+) \|$", section, re.MULTILINE)
    assert rows[1:] == [(f.name, f.type + "?" * f.nullable, f.doc) for f in FIELDS], rows[0]


def test_a_record_has_every_field_in_order_and_null_for_the_unknown() -> None:
    line = encode(WHOLE | {"end_user": "alice", "no_such_field": 1})
    assert line.endswith(b"\n")
    record = json.loads(line)
    assert list(record) == [field.name for field in FIELDS]
    assert record["end_user"] == "alice"
    assert record["input_tokens"] is None
    assert problem(record) is None


@settings(suppress_health_check=[HealthCheck.too_slow])  # a loaded machine is no fault
@given(
    extra=st.dictionaries(st.sampled_from(OPTIONAL), ANYTHING),
    texts=st.dictionaries(st.sampled_from(TEXTS), TEXT),
)
def test_whatever_comes_in_is_one_valid_line(extra: dict[str, Any], texts: dict[str, str]) -> None:
    line = encode(WHOLE | extra | texts)
    assert len(line) <= MAX_LINE_BYTES
    assert line.count(b"\n") == 1
    assert problem(json.loads(line)) is None


def test_texts_that_only_escapes_make_long_still_fit() -> None:
    line = encode(WHOLE | dict.fromkeys(TEXTS, "\x00" * 5000))
    assert len(line) <= MAX_LINE_BYTES
    assert problem(json.loads(line)) is None


def test_a_long_text_is_cut_visibly_and_a_fitting_one_is_kept() -> None:
    record = json.loads(encode(WHOLE | {"end_user": "u" * 300, "request_model": "m" * 128}))
    assert record["end_user"] == "u" * 255 + "…"
    assert record["request_model"] == "m" * 128


@pytest.mark.parametrize("value", [-1, 1.5, "7", True, 2**63, [], {}])
def test_a_count_that_is_none_is_unknown_not_zero(value: Any) -> None:
    assert json.loads(encode(WHOLE | {"input_tokens": value}))["input_tokens"] is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.5, "1"])
def test_a_time_that_is_none_is_unknown(value: Any) -> None:
    assert json.loads(encode(WHOLE | {"upstream_ms": value}))["upstream_ms"] is None


@pytest.mark.parametrize("name", REQUIRED)
def test_a_record_without_a_required_field_is_refused_by_writer_and_reader(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        encode(WHOLE | {name: None})
    record = json.loads(encode(WHOLE))
    del record[name]
    assert name in str(problem(record))


@pytest.mark.parametrize("line", ["[]", "1", '{"schema_version": 2}', "{}"])
def test_a_reader_names_what_makes_a_line_no_record(line: str) -> None:
    assert problem(json.loads(line))
