"""The spool: request records, appended as calls end, in one file per worker process and UTC hour."""

import asyncio
import contextlib
import errno
import logging
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from gateway_contracts.request_record import SCHEMA_VERSION, encode_valid
from gateway_serve.disk_sync import DiskSync

_logger = logging.getLogger(__name__)

STANDARD_OUTPUT = "-"

_PROBE_BYTES = 4096  # what a record may need
_PROBE_FRESH_S = 2
_MOST_WAITING = 10_000  # records of a process, about 9 MB, that wait in memory for the disk
_MOST_AT_A_TIME = 256
_RETRY_S = 1.0


class LogMetrics(Protocol):
    """Where the log counts."""

    records_written: Any
    records_lost: Any
    log_writable: Any


class RequestLog:
    """Writes the records of one process.

    `target` is a directory, `-` for standard output, or None to write nothing. `identity` is what all records
    of this process have in common. A record that cannot be written waits in memory
    for the disk. Beyond 10,000 of them the latest are lost, which the gap in `sequence` shows.
    """

    def __init__(
        self,
        target: str | None,
        host: str,
        instance: str,
        identity: dict[str, Any],
        metrics: LogMetrics | None = None,
    ) -> None:
        self._target = target
        self._host = host
        self._instance = instance
        self._identity = identity
        self._metrics = metrics
        self._begin()

    def begin_process(self) -> None:
        """Start a new boot: called in every process after the fork that made it."""
        self._begin()
        if self._writes_files:
            self._sync.start()

    def _begin(self) -> None:
        self._boot_id = uuid.uuid4().hex
        self._common = {
            **self._identity,
            "schema_version": SCHEMA_VERSION,
            "boot_id": self._boot_id,
            "host": self._host,
            "instance": self._instance,
        }
        self._sequence = 0
        self._hour = -1
        self._descriptor = -1
        self._lines: list[tuple[int, bytes]] = []  # with their sequence, to be written
        self._retry: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []  # the calls that they are of
        self._unfinished = b""  # the rest of a record of which the file system took only a part
        self._proven_at = 0.0  # monotonic time at which the spool was last seen to be writable
        self._sync = DiskSync()
        self.problem: str | None = None  # why records cannot be written now

    @property
    def boot_id(self) -> str:
        """The id of this process in its records."""
        return self._boot_id

    @property
    def _writes_files(self) -> bool:
        return self._target is not None and self._target != STANDARD_OUTPUT

    async def write(self, records: Iterable[dict[str, Any]]) -> None:
        """Write the records of a call that is over; return once the kernel has them, or they must wait.

        Records of all calls that end in the same turn of the event loop go in one append. They must be as the
        contract says; what all records of this process have in common is put into them here.
        Never raises: a log that fails must not fail the call.
        """
        if self._target is None:
            return
        for record in records:
            self._sequence += 1
            record.update(self._common, sequence=self._sequence)
            try:
                self._lines.append((self._sequence, encode_valid(record)))
            except ValueError as error:
                # A mistake in this program, not of the disk.
                self._count(lost=1)
                _logger.error(
                    "request record %d of boot_id %s is lost: %s", self._sequence, self._boot_id, error
                )
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        # One for each: who is cancelled must not cancel the others' wait.
        written = loop.create_future()
        self._waiting.append(written)
        await written

    def _flush(self) -> None:
        """Write what this turn has gathered, after what waits."""
        waiting, self._waiting = self._waiting, []
        while (self._lines or self._unfinished) and self._append():
            pass
        if self._lines or self._unfinished:
            self._keep()
        for written in waiting:
            if not written.done():
                written.set_result(None)

    def _keep(self) -> None:
        """Let lines wait for a disk that takes none, within bounds, and try it again without another call."""
        if len(self._lines) > _MOST_WAITING:
            self._count(lost=len(self._lines) - _MOST_WAITING)
            del self._lines[_MOST_WAITING:]
        if self._retry is None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._flush()

    def _append(self) -> bool:
        """Write lines in one append, remove what the file system took, and tell whether that was all."""
        # Several processes may share a pipe, which keeps no more than one line in one piece.
        together = self._lines[: _MOST_AT_A_TIME if self._writes_files else 1]
        sequence = together[0][0] if together else self._sequence
        try:
            taken = self._write(b"".join([line for _, line in together]))
        except OSError as error:
            self._note(error, sequence)
            return False
        whole = 0
        for _, line in together:
            if taken < len(line):
                break
            taken -= len(line)
            whole += 1
        self._count(written=whole)
        if whole < len(together) and taken:
            # The rest goes in front of the next record, so that no line is torn for good.
            self._unfinished = together[whole][1][taken:]
            whole += 1
        del self._lines[:whole]
        self._note(_full_disk() if self._unfinished else None, sequence)
        return not self._unfinished

    async def check(self) -> str | None:
        """Find out whether a record could be written now, and return why not."""
        if self._writes_files and time.monotonic() - self._proven_at >= _PROBE_FRESH_S:
            problem = await asyncio.to_thread(self._probe)
            if problem is None and self._lines:
                self._flush()
            else:
                self._note(problem, self._sequence + 1)
        return self.problem or self._sync.problem

    def _probe(self) -> OSError | None:
        path = Path(self._target or "") / f".probe-{self._boot_id}"
        try:
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                try:
                    if os.write(descriptor, bytes(_PROBE_BYTES)) < _PROBE_BYTES:
                        return _full_disk()
                finally:
                    os.close(descriptor)
            finally:
                path.unlink(missing_ok=True)
        except OSError as error:
            return error
        return None

    def _note(self, error: OSError | None, sequence: int) -> None:
        """Take note of whether writing works; say once that it fails, and once that it works again."""
        if error is None:
            self._proven_at = time.monotonic()
            if self.problem is None:
                return
            self.problem = None
            _logger.warning("request records are written again from sequence %d on", sequence)
        else:
            self._proven_at = 0.0
            if self.problem is not None:
                return
            self.problem = f"request records cannot be written: {error.strerror or error}"
            _logger.error(
                "request records wait in memory from sequence %d of boot_id %s on: %s: %s; free or repair %s",
                sequence,
                self._boot_id,
                type(error).__name__,
                error,
                self._target,
            )
        if self._metrics is not None:
            self._metrics.log_writable.set(0 if error else 1)

    def close(self) -> None:
        """Write what is left, flush it to disk and close the file, where one is open."""
        self._flush()
        if self._retry is not None:
            self._retry.cancel()
        self._count(lost=len(self._lines))
        self._lines = []
        self._sync.stop()
        if self._descriptor < 0:
            return
        try:
            self._finish()
        except OSError:
            self._count(lost=1)
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, data: bytes) -> int:
        """Return how many bytes were taken. Raises OSError where none was."""
        if not self._writes_files:
            os.write(1, data)
            return len(data)
        seconds = time.time()
        hour = int(seconds) // 3600
        if hour != self._hour or self._descriptor < 0 or self._sync.is_removed(self._descriptor):
            self._leave_file()
            self._descriptor = self._open(seconds)
            self._hour = hour
        self._finish()
        taken = os.write(self._descriptor, data)
        if data and not taken:
            raise _full_disk()
        self._sync.wanted(self._descriptor)
        return taken

    def _leave_file(self) -> None:
        if self._descriptor >= 0:
            self._finish()
            self._sync.close(self._descriptor)
            self._descriptor = -1

    def _finish(self) -> None:
        if not self._unfinished:
            return
        written = os.write(self._descriptor, self._unfinished)
        self._unfinished = self._unfinished[written:]
        if self._unfinished:
            raise _full_disk()
        self._count(written=1)

    def _open(self, seconds: float) -> int:
        hour = time.strftime("%Y%m%dT%H", time.gmtime(seconds))
        name = f"requests-{self._host}-{self._instance}-{self._boot_id[:8]}-{hour}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(Path(self._target or "") / name, flags, 0o640)

    def _count(self, written: int = 0, lost: int = 0) -> None:
        if self._metrics is not None:
            if written:
                self._metrics.records_written.inc(written)
            if lost:
                self._metrics.records_lost.inc(lost)


def _full_disk() -> OSError:
    return OSError(errno.ENOSPC, "only a part of a record was written; is the disk full?")
