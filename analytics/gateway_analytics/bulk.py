"""A batch whose every line is a record beyond doubt: from lines to Parquet in one pass.

What makes a line doubtful shows in its bytes, in the statistics of the Parquet file that is written, or among
the few values of its texts. Where anything does, the file is of no use: the batch is read with care instead.
"""

import mmap
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gateway_analytics.batches import Batch, Slice
from gateway_analytics.record_kind import MAX_NUMBER, RecordKind
from gateway_analytics.sql_text import sql
from gateway_contracts.record_field import Field
from gateway_contracts.request_record import MAX_LINE_BYTES

if TYPE_CHECKING:
    import duckdb

_LINE_FEED = ord("\n")
# A comma, or white space that may follow one: DuckDB reads `{"a":1,}`, which is no JSON.
_DOUBTFUL_ENDS = frozenset(b", \t\r\n")


@dataclass(frozen=True, slots=True)
class Bulk:
    """Records of a batch in a Parquet file, sorted, each once: how many, and the first and last moment."""

    rows: int
    first: str
    last: str


def write(
    connection: "duckdb.DuckDBPyConnection",
    store: Path,
    kind: RecordKind,
    batch: Batch,
    path: str,
    options: str,
) -> Bulk | None:
    """Write a batch's records to a file whose path is given as SQL text.

    None where care is needed: a line is doubtful, or a record comes twice. Raises OSError, duckdb.Error.
    """
    with ExitStack() as opened:
        lines, sources = 0, []
        for one in (one for group in batch for one in group):
            file = opened.enter_context((store / "incoming" / one.name).open("rb"))
            found = _records_in(file, one)
            if not found:
                return None
            lines += found
            sources.append(f"/proc/self/fd/{_descriptor(file, one, opened)}")
        source = kind.careful_lines(f"{sources}", ", maximum_object_size = 1048576")
        copy = sql("write_bulk", stored=kind.stored, source=source, path=path, options=options)
        ((_, rows, _, _, statistics, _),) = connection.execute(copy).fetchall()
    if rows != lines or not all(_is_certain(known, kind, rows, statistics) for known in kind.fields):
        return None
    ((certain,),) = connection.execute(
        sql("bulk_texts", texts=", ".join(kind.unquoted_texts), doubts=kind.doubts, path=path)
    ).fetchall()
    ((unique,),) = connection.execute(
        sql("count_keys", key=", ".join(kind.key), source=f"read_parquet({path})")
    ).fetchall()
    if not certain or unique != rows:
        return None
    times = statistics['"received_at"']
    return Bulk(rows, times["min"], times["max"])


def _records_in(file: IO[bytes], one: Slice) -> int:
    """How many lines a slice has, each a single object that may be a record; 0 where one is doubtful."""
    if one.end == one.start:
        return 0
    first = one.start // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
    with mmap.mmap(file.fileno(), one.end - first, access=mmap.ACCESS_READ, offset=first) as content:
        return plain_lines(content, one.start - first)


def plain_lines(content: bytes | mmap.mmap, start: int = 0) -> int:
    """How many lines there are, each short enough and with one brace at its end; 0 where one is not."""
    lines, size, find = 0, len(content), content.find
    while (brace := find(b"}", start)) >= 0:
        if (
            brace + 1 >= size
            or content[brace + 1] != _LINE_FEED
            or content[brace - 1] in _DOUBTFUL_ENDS
            or brace + 1 - start >= MAX_LINE_BYTES
        ):
            return 0
        lines += 1
        start = brace + 2
    return lines if start == size else 0


def _descriptor(file: IO[bytes], one: Slice, opened: ExitStack) -> int:
    """A file that has exactly the lines of a slice: its own, or one in memory. Raises OSError."""
    if one.start == 0 and os.fstat(file.fileno()).st_size == one.end:
        return file.fileno()
    descriptor = os.memfd_create("lines")
    opened.callback(os.close, descriptor)
    one.copy(file, descriptor)
    return descriptor


def _is_certain(
    known: Field, kind: RecordKind, rows: int, statistics: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether all values of a column are right, as far as their least and greatest tell."""
    column = statistics[f'"{known.name}"']
    nulls = int(column["null_count"])
    if nulls == rows or (nulls and not known.nullable):
        return known.nullable
    if "min" not in column or "max" not in column:
        return False
    least, greatest = column["min"], column["max"]
    if known.name == "schema_version":
        return least == greatest == str(kind.schema_version)
    if known.name == "received_at":
        return least >= "1970-" and greatest < "3000-"
    match known.type:
        case "int":
            return int(least) >= 0
        case "number":
            return Decimal(least) >= 0 and Decimal(greatest) < MAX_NUMBER
    # A quoted text that is none is stored as chr(1).
    return known.name in kind.unquoted_texts or known.type == "bool" or least > "\x01"
