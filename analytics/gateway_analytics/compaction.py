"""Incoming lines become Parquet: batch after batch, each done as a whole or as if it had never begun.

The order: parts are written under a temporary name, then renamed into place; then quarantine; then manifest.
Killed before the manifest is replaced, the same lines are read again, and what Parquet has is left out:
nothing is lost, nothing comes twice. Files leave incoming only when the manifest says that all is in Parquet.
"""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from gateway_analytics import batches, quarantine
from gateway_analytics.batches import Batch, Group
from gateway_analytics.bulk import Bulk
from gateway_analytics.lines import Problem, examine, look_doubtful, problem_of
from gateway_analytics.manifest import Manifest, Progress, sync_directory, tail
from gateway_analytics.parts import Part
from gateway_analytics.record_kind import RecordKind
from gateway_analytics.sql_text import sql
from gateway_analytics.store import list_parts

if TYPE_CHECKING:
    import duckdb

WORKERS = 2
WORKER_MEMORY = "256MB"
COMMIT_MEMORY = "192MB"
TEMPORARY = ".tmp"
PARQUET = (
    "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2, ROW_GROUP_SIZE 61440,"
    " DICTIONARY_SIZE_LIMIT 5000, WRITE_BLOOM_FILTER false"
)


@dataclass
class Outcome:
    """What a compaction did with one kind of records."""

    records: int = 0
    repeated: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class NewPart:
    """A day's records of a batch, written but not yet where readers look."""

    day: str
    path: Path
    rows: int
    first: str
    last: str


@dataclass
class Prepared:
    """A batch whose parts are written."""

    batch: Batch
    parts: list[NewPart] = field(default_factory=list)
    problems: list[tuple[str, Problem]] = field(default_factory=list)
    lines: int = 0  # that are records
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """What prepares one batch after the other: a DuckDB that keeps its memory takes a tenth less time."""

    connection: "duckdb.DuckDBPyConnection"
    bulk: Bulk


def compact(store: Path, manifest: Manifest, kind: RecordKind, settle: float) -> Outcome:
    """Bring all whole lines of a kind into Parquet. Raises OSError, duckdb.Error."""
    outcome = Outcome()
    found = batches.batches(store, manifest, kind, settle, WORKERS)
    first = next(found, None)
    if first is None:
        return outcome
    todo = enumerate(chain([first], found))
    ahead: deque[Future[Prepared]] = deque()
    idle: SimpleQueue[Worker] = SimpleQueue()
    with (
        ExitStack() as opened,
        ThreadPoolExecutor(WORKERS) as threads,
        open_duckdb(store, COMMIT_MEMORY) as connection,
    ):
        for _ in range(WORKERS):
            own = opened.enter_context(open_duckdb(store, WORKER_MEMORY))
            idle.put(Worker(own, Bulk(own, kind)))
        try:
            while True:
                while len(ahead) <= WORKERS and (one := next(todo, None)):
                    ahead.append(threads.submit(_prepare, idle, store, kind, *one))
                if not ahead:
                    return outcome
                _commit(connection, store, manifest, kind, ahead.popleft().result(), outcome)
        finally:
            for waiting in ahead:
                waiting.cancel()


@contextmanager
def open_duckdb(store: Path, memory: str, threads: int = 1) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB of bounded memory that spills beside the store's files."""
    import duckdb

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "memory_limit": memory,
            "block_allocator_memory": memory,  # kept for the next batch, not given back
            "threads": threads,
            "preserve_insertion_order": False,
            "temp_directory": str(store / ".compaction"),
        }
    )
    try:
        connection.execute("SET enable_progress_bar = false")  # it would be drawn on standard output
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _prepare(
    idle: "SimpleQueue[Worker]", store: Path, kind: RecordKind, number: int, batch: Batch
) -> Prepared:
    """Read a batch and write its parts under temporary names."""
    worker = idle.get()
    try:
        whole = store / kind.name / f".{os.getpid()}-{number}{TEMPORARY}"
        whole.parent.mkdir(exist_ok=True)
        written = worker.bulk.write(store, batch, quoted(whole), PARQUET)
        if written is None:
            whole.unlink(missing_ok=True)
            return _prepare_with_care(worker.connection, store, kind, number, batch)
        prepared = Prepared(batch, lines=written.rows)
        if written.first[:10] == written.last[:10]:
            path = _temporary(store, kind, written.first[:10], number)
            whole.replace(path)
            sync_file(path)
            prepared.parts.append(
                NewPart(written.first[:10], path, written.rows, written.first, written.last)
            )
        else:
            _write_days(worker.connection, store, kind, number, f"read_parquet({quoted(whole)})", prepared)
            whole.unlink()
        return prepared
    finally:
        idle.put(worker)


def _prepare_with_care(
    connection: "duckdb.DuckDBPyConnection", store: Path, kind: RecordKind, number: int, batch: Batch
) -> Prepared:
    """Read a batch group by group, and line by line where a group has lines that are no records."""
    prepared = Prepared(batch)
    columns = ", ".join(f"{name} {type_name}" for name, type_name in kind.stored_columns.items())
    connection.execute(sql("new_batch", columns=columns))
    for group in batch:
        _load(connection, store, kind, group, prepared)
    key = ", ".join(kind.key)
    ((rows,),) = connection.execute("SELECT count(*) FROM batch").fetchall()
    if rows != prepared.lines:
        raise AssertionError(f"{prepared.lines} records became {rows} rows; nothing was changed")
    ((unique,),) = connection.execute(sql("count_keys", key=key, source="batch")).fetchall()
    if unique < rows:
        connection.execute(sql("delete_repeated", key=key))
        prepared.repeated = rows - unique
    _write_days(connection, store, kind, number, "batch", prepared)
    connection.execute("DROP TABLE batch")
    return prepared


def _write_days(
    connection: "duckdb.DuckDBPyConnection",
    store: Path,
    kind: RecordKind,
    number: int,
    source: str,
    prepared: Prepared,
) -> None:
    """Write a file for each UTC day of a batch's records."""
    columns = ", ".join(kind.stored_columns)
    for day, rows, first, last in connection.execute(sql("batch_days", source=source)).fetchall():
        path = _temporary(store, kind, day, number)
        connection.execute(
            sql("write_day", day=day, columns=columns, source=source, path=quoted(path), options=PARQUET)
        )
        sync_file(path)
        prepared.parts.append(NewPart(day, path, rows, first, last))


def _temporary(store: Path, kind: RecordKind, day: str, number: int) -> Path:
    partition = store / kind.name / f"date={day}"
    make_directory(partition)
    return partition / f".{os.getpid()}-{number}{TEMPORARY}"


def _load(
    connection: "duckdb.DuckDBPyConnection", store: Path, kind: RecordKind, group: Group, prepared: Prepared
) -> None:
    """Add a group's records to the table `batch`, and what is no record to the problems."""
    with _memory() as descriptor:
        content = _copy(store, group, descriptor)
        if not look_doubtful(content):
            lines_there = content.count(b"\n")
            if _insert(connection, kind, descriptor, kind.all_certain) == lines_there:
                prepared.lines += lines_there
                return
            connection.execute(sql("delete_loaded"))
    lines: list[bytes] = []
    place = 0
    for one in group:
        end = place + one.end - one.start
        records, problems = examine(content[place:end], kind, one.start)
        lines += records
        prepared.problems += [(one.name, problem) for problem in problems]
        place = end + (content[end - 1 : end] != b"\n")
    _insert_records(connection, kind, lines, group[0].name, prepared)


def _insert_records(
    connection: "duckdb.DuckDBPyConnection",
    kind: RecordKind,
    lines: list[bytes],
    name: str,
    prepared: Prepared,
) -> None:
    """Add lines that are records, one by one where DuckDB does not read them all."""
    if not lines:
        return
    with _memory() as descriptor:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.writelines(line + b"\n" for line in lines)
        if _insert(connection, kind, descriptor, kind.complete) == len(lines):
            prepared.lines += len(lines)
            return
    connection.execute(sql("delete_loaded"))
    if len(lines) == 1:
        reason = problem_of(lines[0], kind)
        prepared.problems.append((name, Problem(0, lines[0], reason[0] if reason else "unreadable", False)))
        return
    half = len(lines) // 2
    _insert_records(connection, kind, lines[:half], name, prepared)
    _insert_records(connection, kind, lines[half:], name, prepared)


@contextmanager
def _memory() -> Iterator[int]:
    """A file in memory, so that DuckDB sees exactly the lines that it holds."""
    descriptor = os.memfd_create("lines")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _copy(store: Path, group: Group, descriptor: int) -> bytes:
    """Copy a group's lines into a file, and return them. Raises OSError."""
    for one in group:
        with (store / "incoming" / one.name).open("rb") as file:
            one.copy(file, descriptor)
            file.seek(one.end - 1)
            if file.read(1) != b"\n":
                os.write(descriptor, b"\n")
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _insert(
    connection: "duckdb.DuckDBPyConnection", kind: RecordKind, descriptor: int, condition: str
) -> int:
    """Add a file's lines to the table `batch`; return how many, or 0 where the condition does not hold."""
    import duckdb

    source = kind.careful_lines(f"'/proc/self/fd/{descriptor}'", ", maximum_object_size = 1048576")
    try:
        connection.execute(sql("load_lines", stored=kind.stored, source=source))
    except duckdb.InvalidInputException:
        return 0  # a record that goes on in the next line, whatever DuckDB is told to ignore
    ((rows, right),) = connection.execute(sql("count_loaded", condition=condition)).fetchall()
    return int(rows) if right else 0


def _commit(
    connection: "duckdb.DuckDBPyConnection",
    store: Path,
    manifest: Manifest,
    kind: RecordKind,
    prepared: Prepared,
    outcome: Outcome,
) -> None:
    """Show a batch's parts to readers, and note that its lines are done."""
    new = sum(_publish(connection, kind, part) for part in prepared.parts)
    quarantine.add(store, manifest, prepared.problems)
    ends = {one.name: one.end for group in prepared.batch for one in group}
    for name, end in ends.items():
        manifest.files[name] = Progress(end, tail(store / "incoming" / name, end))
    manifest.save(store)
    outcome.records += new
    outcome.repeated += prepared.repeated + sum(part.rows for part in prepared.parts) - new
    outcome.quarantined += len(prepared.problems)


def _publish(connection: "duckdb.DuckDBPyConnection", kind: RecordKind, part: NewPart) -> int:
    """Give a part its name, without what the day's other parts have; return its number of records."""
    partition = part.path.parent
    known = list_parts(partition)
    new = part.rows
    if known:
        blanks = {"key": ", ".join(kind.key), "first": part.first, "last": part.last}
        files = {"new": [str(part.path)], "known": known}
        ((repeated,),) = connection.execute(sql("count_known", **blanks), files).fetchall()
        if repeated:
            new = part.rows - repeated
            rest = part.path.with_name(part.path.name.replace(TEMPORARY, f"-new{TEMPORARY}"))
            connection.execute(sql("write_new", **blanks, path=quoted(rest), options=PARQUET), files)
            rest.replace(part.path)
            sync_file(part.path)
    if new:
        part.path.replace(partition / next_part(partition).name)
        sync_directory(partition)
    else:
        part.path.unlink()
    return new


def next_part(partition: Path) -> Part:
    """The part that comes after all of a day's. Raises OSError."""
    numbers = [part.last for path in partition.iterdir() if (part := Part.of(path.name))]
    number = max(numbers, default=0) + 1
    return Part(number, number)


def make_directory(path: Path) -> None:
    """Make a partition's directory, on disk when this returns. Raises OSError."""
    if not path.is_dir():
        path.parent.mkdir(exist_ok=True)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Bring a file's bytes to disk. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def quoted(path: Path) -> str:
    """A path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"
