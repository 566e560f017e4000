"""Lines that are no valid record, of every sort that is known."""

import json
from collections.abc import Iterator
from typing import Any

from gateway_contracts.record_field import Field

# Values of other JSON types than a field's own, each as it stands in a line.
_WRONG = {
    "int": ['"7"', "1.5", "1e3", "2.0", "true", "-1", "{}", "[1]", '""', "99999999999999999999"],
    "number": ['"1.5"', "true", "-0.5", "{}", "[]", "NaN", "Infinity", '"x"', "1e300"],
    "bool": ['"true"', "0", "1", "1.0", "{}", '""'],
    "text": ["7", "-1.5", "1e3", "true", "false", "{}", '["a"]', "NaN", "Infinity", '{"a": 1}'],
    "number or text": ["true", "false", "{}", "[200]", "-1"],
}


def broken_lines(record: dict[str, Any], fields: tuple[Field, ...]) -> Iterator[tuple[str, bytes]]:
    """What is wrong, and the line without its line feed. `record` is a valid one with every field set."""
    whole = json.dumps(record)
    for known in fields:
        values = list(_WRONG[known.type])
        if not known.nullable:
            values.append("null")
        for value in values:
            if known.name == "received_at" and value == "NaN":
                continue
            yield f"{known.name} is {value}", replaced(record, known.name, value)
        if not known.nullable:
            yield (
                f"no {known.name}",
                json.dumps({k: v for k, v in record.items() if k != known.name}).encode(),
            )
    for length in range(1, len(whole), max(1, len(whole) // 40)):
        yield f"cut after {length}", whole[:length].encode()
        yield f"cut before {length}", whole[length:].encode()
    for version in ("0", "2", "1.0", '"1"', "true", "null", "99"):
        yield f"version {version}", replaced(record, "schema_version", version)
    for moment in (
        *(
            "yesterday",
            "",
            "2026-13-02T10:00:00Z",
            "2026-02-30T10:00:00Z",
            "2026-11-02T25:00:00Z",
            "20261102T100000Z",
        ),
        *(
            "2026-11-02T10:00:00",
            "2026-11-02T10:00:00+02:00",
            "2026-11-02",
            "infinity",
            "-infinity",
            "epochZ",
        ),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-02T10:00:00.abcZ", "2026-11-02T10:00Z"),
    ):
        yield f"at {moment}", replaced(record, "received_at", json.dumps(moment))
    text = next(known.name for known in fields if known.type == "text" and known.name != "received_at")
    good = whole.encode()
    yield "not UTF-8", good.replace(b'"host": "', b'"host": "\xff\xfe')
    yield "half a UTF-8 character", good.replace(b'"host": "', b'"host": "\xe2\x82')
    yield "a lone surrogate", replaced(record, text, '"\\ud800"')
    yield "a line feed escaped wrongly", replaced(record, text, '"\t"')
    yield "NUL inside", good.replace(b'"host": "', b'"host": "\0')
    yield "NUL before", b"\0" * 40 + good[1:]
    yield "NUL behind", good + b"\0"
    yield "NUL alone", b"\0" * 4096
    yield "too long, valid otherwise", replaced(record, text, json.dumps("x" * 5000))
    yield "too long, by an unknown field", good[:-1] + b', "more": "' + b"y" * 4100 + b'"}'
    yield "a megabyte of garbage", b"z" * 1_000_000
    yield "a comma too many", good[:-1] + b",}"
    yield "something behind", good + b" x"
    yield "a list", b"[" + good + b"]"
    yield "a text", json.dumps(whole).encode()
    yield "single quotes", good.replace(b'"', b"'")
    yield "no quotes", good.replace(b'"', b"")
    for garbage in (
        b"null",
        b"true",
        b"0",
        b'""',
        b"{}",
        b"[]",
        b"{",
        b"}",
        b"\xef\xbb\xbf",
        b"<html>",
        b"\x1f\x8b\x08",
    ):
        yield f"garbage {garbage!r}", garbage


def replaced(record: dict[str, Any], name: str, value: str) -> bytes:
    """The record as a line, with another text in the place of a value."""
    mark = "a value to be replaced"
    return json.dumps(record | {name: mark}).replace(json.dumps(mark), value).encode()
