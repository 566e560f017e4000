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
class Written:
    """Records of a batch in a Parquet file, sorted, each once: how many, and the first and last moment."""

    rows: int
    first: str
    last: str


class Bulk:
    """Writes batches of one kind of records, and learns from each of what their texts look like."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", kind: RecordKind) -> None:
        """Write with a connection that nobody else uses meanwhile."""
        self._connection = connection
        self._kind = kind
        # Texts that look like numbers, read with the quotation marks that tell them from numbers. Of request
        # ids one in millions does. Which others do shows when they come.
        self._quoted = {"request_id", "provider_cost_usd"}

    def write(self, store: Path, batch: Batch, path: str, options: str) -> Written | None:
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
            while (written := self._write(sources, lines, path, options)) is not None:
                doubtful = self._doubtful_texts(path)
                if not doubtful:
                    return written if self._are_unique(written.rows, path) else None
                self._quoted |= doubtful
        return None

    def _write(self, sources: list[str], lines: int, path: str, options: str) -> Written | None:
        import duckdb

        kind = self._kind
        source = kind.careful_lines(f"{sources}", ", maximum_object_size = 1048576", self._quoted)
        stored = kind.stored_or_error(self._quoted)
        copy = sql("write_bulk", stored=stored, source=source, path=path, options=options)
        try:
            ((_, rows, _, _, statistics, *_),) = self._connection.execute(copy).fetchall()
        except (duckdb.ConversionException, duckdb.InvalidInputException):
            return None  # what should be a number is none, or a record goes on in the next line
        if rows != lines or not all(self._is_certain(known, rows, statistics) for known in kind.fields):
            return None
        times = statistics['"received_at"']
        return Written(rows, times["min"], times["max"])

    def _is_certain(self, known: Field, rows: int, statistics: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether all values of a column are right, as far as their least and greatest tell."""
        column = statistics[f'"{known.name}"']
        nulls = int(column["null_count"])
        if nulls == rows or (nulls and not known.nullable):
            return known.nullable
        if "min" not in column or "max" not in column:
            return False
        least, greatest = column["min"], column["max"]
        if known.name == "schema_version":
            return least == greatest == str(self._kind.schema_version)
        if known.name == "received_at":
            return least >= "1970-" and greatest < "3000-"
        match known.type:
            case "int":
                return int(least) >= 0
            case "number":
                return Decimal(least) >= 0 and Decimal(greatest) < MAX_NUMBER
        # A quoted text that is none is stored as chr(1).
        return known.name not in self._quoted or least > "\x01"

    def _doubtful_texts(self, path: str) -> set[str]:
        """The texts, of those read without quotation marks, that may be other JSON values."""
        texts = ((name, doubt) for name, doubt in self._kind.texts.items() if name not in self._quoted)
        query = " UNION ALL ".join(
            sql("doubtful_text", column=name, doubt=doubt, path=path) for name, doubt in texts
        )
        return {name for (name,) in self._connection.execute(query).fetchall()}

    def _are_unique(self, rows: int, path: str) -> bool:
        query = sql("count_keys", key=", ".join(self._kind.key), source=f"read_parquet({path})")
        ((unique,),) = self._connection.execute(query).fetchall()
        return int(unique) == rows


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
