"""Lines of incoming files: which are records, and what is wrong with the others."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import mmap
from typing import Any

from gateway_analytics.record_kind import FIRST_MOMENT, LAST_MOMENT, MAX_NUMBER, RecordKind
from gateway_contracts import record_field
from gateway_contracts.request_record import MAX_LINE_BYTES

# How every record begins. In JSON it cannot stand inside a text, where its quotation marks would be escaped:
# a record that follows a cut one on the same line is found by it.
_BEGINNING = b'{"schema_version"'
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_FIRST, _LAST = datetime.fromisoformat(FIRST_MOMENT), datetime.fromisoformat(LAST_MOMENT)
# DuckDB reads `{"a": 1,}`; JSON has no such thing.
_COMMA_AT_END = re.compile(rb",\s*}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A line, or a part of one, that is no valid record."""

    offset: int  # in bytes, of its first byte
    line: bytes
    reason: str
    newer: bool  # a record of a later schema_version


def examine(data: bytes, kind: RecordKind, offset: int = 0) -> tuple[list[bytes], list[Problem]]:
    """Tell the records in whole lines from what is none. Records come without line feeds.

    A line that is no record is read on from each place where another record begins.
    """
    records: list[bytes] = []
    problems: list[Problem] = []
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end]
        if line.strip():
            problem = problem_of(line, kind)
            if problem is None:
                records.append(line)
            else:
                for at, piece in _pieces(line):
                    problem = problem_of(piece, kind) if piece != line else problem
                    if problem is None:
                        records.append(piece)
                    else:
                        problems.append(Problem(offset + start + at, piece, *problem))
        start = end + 1
    return records, problems


def _pieces(line: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(line):
        end = line.find(_BEGINNING, start + 1)
        end = len(line) if end < 0 else end
        if line[start:end].strip():
            yield start, line[start:end]
        start = end


def problem_of(line: bytes, kind: RecordKind) -> tuple[str, bool] | None:
    """Say what makes a line no valid record, and whether it is one of a later version; None for a record."""
    if len(line) >= MAX_LINE_BYTES:
        return f"longer than {MAX_LINE_BYTES} bytes", False
    if b"\0" in line:
        return "NUL bytes", False
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError:
        return "not UTF-8", False
    except (ValueError, RecursionError):
        return (
            "cut off" if line.startswith(b"{") and not line.rstrip().endswith(b"}") else "not JSON"
        ), False
    found = record_field.problem(record, kind.fields, kind.schema_version)
    if found is not None:
        version = record.get("schema_version") if isinstance(record, dict) else None
        newer = type(version) is int and version > kind.schema_version
        return found, newer
    found = _out_of_range(record, kind)
    return None if found is None else (found, False)


def _out_of_range(record: dict[str, Any], kind: RecordKind) -> str | None:
    """What the record's types allow and the store does not."""
    if not _is_utc(record["received_at"]):
        return "received_at is no UTC time"
    for known in kind.fields:
        value = record.get(known.name)
        if known.type == "number" and value is not None and value >= MAX_NUMBER:
            return f"{known.name} is out of range"
        if isinstance(value, str) and not _is_unicode(value):
            return f"{known.name} is not Unicode"
    return None


def _is_utc(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        return _FIRST <= datetime.fromisoformat(text).astimezone(UTC) < _LAST
    except ValueError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def look_doubtful(data: bytes | mmap) -> bool:
    """Whether lines hold what DuckDB would read although it is no record: examine them one by one."""
    if _COMMA_AT_END.search(data):
        return True
    # From the start of a line to the last line feed within the bounds: every line between is short enough.
    start, size = 0, len(data)
    while size - start >= MAX_LINE_BYTES:
        end = data.rfind(b"\n", start, start + MAX_LINE_BYTES)
        if end < 0:
            return True
        start = end + 1
    return False
