"""Which lines of incoming files compaction takes next: whole ones, in batches of bounded size."""

import calendar
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway_analytics.manifest import Manifest
from gateway_analytics.record_kind import RecordKind
from gateway_contracts.request_record import MAX_LINE_BYTES

# What is examined at once where there is a doubt, and what becomes one part: about 200,000 records.
GROUP_BYTES = 16 << 20
BATCH_BYTES = 192 << 20
RETIRED = ".retired"

# Batches that were made larger to be as many for one worker as for another are at most so much larger.
_LARGER = 4 / 3

_HOUR = re.compile(r"-(\d{8}T\d{2})\.jsonl")
_SECONDS_AN_HOUR = 3600
_STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Slice:
    """Whole lines of a file below incoming/: its bytes from start to end."""

    name: str
    start: int
    end: int

    def copy(self, file: IO[bytes], descriptor: int) -> None:
        """Append its bytes, of the file that is open, to another. Raises OSError where they are gone."""
        place = self.start
        while place < self.end:
            sent = os.sendfile(descriptor, file.fileno(), place, self.end - place)
            if not sent:
                raise OSError(f"{self.name} became shorter while it was read")
            place += sent


Group = list[Slice]
Batch = list[Group]


def batches(
    store: Path, manifest: Manifest, kind: RecordKind, settle: float, workers: int = 1
) -> Iterator[Batch]:
    """All lines that are there now and were not read, files of the same hour together. Raises OSError.

    As many batches for each of the workers, where that makes them little larger.
    """
    size = _even_bytes(_unread_bytes(store, manifest, kind), workers)
    batch: Batch = []
    read, number = 0, 1
    for group in _groups(store, manifest, kind, settle):
        batch.append(group)
        read += sum(one.end - one.start for one in group)
        if read >= number * size:
            yield batch
            batch, number = [], number + 1
    if batch:
        yield batch


def _even_bytes(unread: int, workers: int) -> float:
    """The size of batches that are as many for each worker, so that no worker is left with the last one."""
    rounds = unread // (workers * BATCH_BYTES)
    size = unread / (workers * rounds) if rounds else BATCH_BYTES
    return size if size <= _LARGER * BATCH_BYTES else BATCH_BYTES


def _unread_bytes(store: Path, manifest: Manifest, kind: RecordKind) -> int:
    return sum(
        (store / "incoming" / name).stat().st_size
        - (manifest.files[name].consumed if name in manifest.files else 0)
        for name in incoming_names(store, kind)
    )


def _groups(store: Path, manifest: Manifest, kind: RecordKind, settle: float) -> Iterator[Group]:
    group: Group = []
    size = 0
    for name in sorted(incoming_names(store, kind), key=_hour_and_name):
        path = store / "incoming" / name
        start, end = manifest.consumed(store, name), path.stat().st_size
        if end > start:
            start = _begin_of_line(path, start)
        whole = end if is_settled(path, settle) else _end_of_lines(path, start, end)
        while start < whole:
            stop = _cut(path, start, min(whole, start + GROUP_BYTES - size), whole)
            if stop <= start and group:
                yield group
                group, size = [], 0
                continue
            # A line longer than a group is no record: take it in pieces.
            stop = max(stop, min(whole, start + GROUP_BYTES)) if stop <= start else stop
            group.append(Slice(name, start, stop))
            size += stop - start
            start = stop
            if size >= GROUP_BYTES // 2:
                yield group
                group, size = [], 0
    if group:
        yield group


def incoming_names(store: Path, kind: RecordKind) -> Iterator[str]:
    """The incoming files of a kind, also those that are out of readers' sight already. Raises OSError."""
    directory = store / "incoming" / kind.name
    for entry in os.scandir(directory) if directory.is_dir() else ():
        seen = entry.name.endswith(".jsonl") and not entry.name.startswith(".")
        if (seen or entry.name.endswith(RETIRED)) and entry.is_file():
            yield f"{kind.name}/{entry.name}"


def is_settled(path: Path, settle: float) -> bool:
    """Whether nobody writes to a file any more: for so many seconds its hour is over and it is unchanged."""
    now = time.time()
    hour = _HOUR.search(path.name)
    over = _hour_ends(hour[1]) if hour else 0.0
    return now >= over + settle and now >= path.stat().st_mtime + settle


def _hour_ends(text: str) -> float:
    try:
        began = time.strptime(text + "UTC", "%Y%m%dT%H%Z")
    except ValueError:
        return 0.0
    return float(calendar.timegm(began) + _SECONDS_AN_HOUR)


def _hour_and_name(name: str) -> tuple[str, str]:
    hour = _HOUR.search(name)
    return (hour[1] if hour else "", name)


def _end_of_lines(path: Path, start: int, end: int) -> int:
    """The place behind the last line feed between two places; `start` where there is none."""
    with path.open("rb") as file:
        while end > start:
            begin = max(start, end - _STEP)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return start


def _begin_of_line(path: Path, place: int) -> int:
    """Where a line begins that was taken for a cut one and is written on now; else the place itself."""
    with path.open("rb") as file:
        file.seek(max(0, place - MAX_LINE_BYTES))
        before = file.read(min(place, MAX_LINE_BYTES))
    ended = before.rfind(b"\n")
    if ended < 0 and place >= MAX_LINE_BYTES:
        return place  # too long for a record
    return place - len(before) + ended + 1


def _cut(path: Path, start: int, stop: int, whole: int) -> int:
    return whole if stop >= whole else _end_of_lines(path, start, stop)
