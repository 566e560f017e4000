"""Incoming files made fit for a query: what is no record is left out, and counted."""

import mmap
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway_analytics.lines import examine, look_doubtful, problem_of
from gateway_analytics.record_kind import RecordKind
from gateway_analytics.sql_text import sql
from gateway_analytics.store import StoreFiles

if TYPE_CHECKING:
    import duckdb

# A file written to this recently may end in a line that is still being written.
STILL_WRITTEN_SECONDS = 60.0


@dataclass
class CheckedFiles:
    """Files whose lines DuckDB reads right, and how many lines of which files were left out."""

    files: list[str] = field(default_factory=list)
    invalid: dict[str, int] = field(default_factory=dict)
    newer: int = 0


def check(
    connection: "duckdb.DuckDBPyConnection", found: StoreFiles, kind: RecordKind, directory: Path
) -> CheckedFiles:
    """Replace each file with a doubtful line by one in `directory` with its records alone. Raises OSError."""
    checked = CheckedFiles()
    doubtful = _doubtful_lines(connection, found.incoming, kind)
    for number, name in enumerate(found.incoming):
        doubts = doubtful.get(name, 0)
        path = Path(name)
        start = found.consumed.get(name, 0)
        written = time.time() - path.stat().st_mtime < STILL_WRITTEN_SECONDS
        lines, tail, suspicious = _read(path, start, must=doubts > 0)
        if not doubts and not suspicious:
            checked.files.append(name)
            continue
        if written and doubts == 1 and not suspicious and tail and problem_of(tail, kind):
            # Only the line that is being written now; queries leave out what has no end yet.
            checked.files.append(name)
            continue
        records, problems = examine(lines, kind, start)
        if written:
            whole = start + len(lines) - len(tail)
            problems = [problem for problem in problems if problem.offset < whole]
        if newer := sum(problem.newer for problem in problems):
            checked.newer += newer
        if invalid := len(problems) - newer:
            checked.invalid[name] = invalid
        clean = directory / f"{kind.name}-{number}.jsonl"
        clean.write_bytes(b"".join(line + b"\n" for line in records))
        if records:
            checked.files.append(str(clean))
    return checked


def _doubtful_lines(
    connection: "duckdb.DuckDBPyConnection", names: list[str], kind: RecordKind
) -> dict[str, int]:
    if not names:
        return {}
    from gateway_analytics.engine import duckdb

    query = sql(
        "doubtful_lines",
        source=kind.careful_lines("CAST($files AS VARCHAR[])", ", filename = true"),
        certain=kind.certain,
    )
    try:
        return dict(connection.execute(query, {"files": names}).fetchall())
    except duckdb.InvalidInputException:
        # A record that goes on in the next line, whatever DuckDB is told to ignore: two doubtful lines.
        if len(names) == 1:
            return {names[0]: 2}
        half = len(names) // 2
        return _doubtful_lines(connection, names[:half], kind) | _doubtful_lines(
            connection, names[half:], kind
        )


def _read(path: Path, start: int, *, must: bool) -> tuple[bytes, bytes, bool]:
    """Lines from a place on, where needed; a last one without an end; whether to doubt them."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return b"", b"", False
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as data:
            tail = data[data.rfind(b"\n") + 1 :]
            suspicious = look_doubtful(data)
            return (data[start:] if must or suspicious else b""), tail, suspicious
