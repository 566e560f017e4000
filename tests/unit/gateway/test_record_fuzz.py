"""Whatever callers and providers say, the record is one valid line, and keeps what is valid."""

import json
import math
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_contracts.request_record import (
    FIELDS,
    MAX_LINE_BYTES,
    SCHEMA_VERSION,
    encode,
    encode_valid,
    fitting,
    problem,
)
from support.least_record import IDENTITY, RECORD

# A long run: FUZZ_EXAMPLES=100000 pytest tests/unit/gateway/test_record_fuzz.py
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))

# What JSON escapes, what UTF-8 makes long, what has no UTF-8 form, what ends lines for some readers.
ODD = st.sampled_from(
    [
        "\ud800",
        "\udfff",
        "\x00",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        '"',
        "\\",
        "\n",
        "\r",
        "\N{GRINNING FACE}",
    ]
)
TEXT = st.builds(
    lambda pieces, times: "".join(pieces) * times,
    st.lists(st.text(max_size=6) | ODD, max_size=5),
    st.sampled_from([1, 1, 1, 40, 3000]),
)
NUMBER = (
    st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from([2**63 - 1, 2**63, 2**64, 10**400, -0.0, 5e-324, 1e308, math.inf])
)
LEAF = st.none() | st.booleans() | NUMBER | TEXT | st.binary(max_size=8)
ANYTHING = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)

NULLABLE = [field.name for field in FIELDS if field.nullable]
NAMES = [field.name for field in FIELDS]


def good(name: str) -> st.SearchStrategy[Any]:
    """Return values that may stand in a field."""
    field = next(field for field in FIELDS if field.name == name)
    values: dict[str, st.SearchStrategy[Any]] = {
        "int": st.integers(0, 2**63 - 1),
        "number": st.floats(0, 1e15) | st.integers(0, 2**53),
        "bool": st.booleans(),
        "text": TEXT,
    }
    return values[field.type] | st.none() if field.nullable else values[field.type]


def check(line: bytes) -> dict[str, Any]:
    """Fail unless it is one line of the schema; return it decoded."""
    assert len(line) <= MAX_LINE_BYTES
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line.decode("utf-8", "strict"))
    assert list(found) == NAMES
    assert problem(found) is None
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(extra=st.dictionaries(st.sampled_from([*NULLABLE, "no_such_field"]), ANYTHING))
def test_whatever_callers_and_providers_say_is_one_valid_line(extra: dict[str, Any]) -> None:
    whole = RECORD | IDENTITY | {"boot_id": "b", "sequence": 1, "host": "h", "instance": "i"}
    check(encode(whole | {"schema_version": SCHEMA_VERSION} | extra))


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_a_valid_value_is_kept(data: st.DataObject) -> None:
    """Numbers to three decimals, texts up to their length; nothing valid becomes null."""
    record = {name: data.draw(good(name), label=name) for name in NAMES} | {"schema_version": SCHEMA_VERSION}
    found = check(encode(record))
    for field in FIELDS:
        given_value = record[field.name]
        if field.type == "text":
            assert (found[field.name] is None) == (given_value is None)
        elif field.type == "number" and given_value is not None:
            assert found[field.name] == pytest.approx(given_value, abs=0.0006)
        else:
            assert found[field.name] == given_value


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_the_fast_encoder_says_what_the_careful_one_says(data: st.DataObject) -> None:
    record = {name: data.draw(good(name), label=name) for name in NAMES} | {"schema_version": SCHEMA_VERSION}
    for field in FIELDS:  # as a record is made: texts that fit, times to three decimals
        value = record[field.name]
        if field.type == "text" and value is not None:
            record[field.name] = fitting(field.name, value)
        elif field.type == "number" and value is not None:
            record[field.name] = round(value, 3)
    fast = encode_valid(record)
    assert check(fast) == check(encode(record))
