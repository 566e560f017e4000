"""The spool: request records, one append each, in one file per worker process and UTC hour."""

import contextlib
import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

from gateway_contracts.request_record import SCHEMA_VERSION, encode

_logger = logging.getLogger(__name__)

STANDARD_OUTPUT = "-"


class RequestLog:
    """Writes the records of one process.

    `target` is a directory, `-` for standard output, or None to write nothing. `identity` is what all records
    of this process have in common. A record that cannot be written is lost, which the gap in `sequence`
    shows; the call is served all the same.
    """

    def __init__(self, target: str | None, host: str, instance: str, identity: dict[str, Any]) -> None:
        self._target = target
        self._host = host
        self._instance = instance
        self._identity = identity
        self.begin_process()

    def begin_process(self) -> None:
        """Start a new boot: called in every process after the fork that made it."""
        self._boot_id = uuid.uuid4().hex
        self._sequence = 0
        self._hour = -1
        self._descriptor = -1
        self._unfinished = b""  # the rest of a record of which the file system took only a part
        self._failing = False

    @property
    def boot_id(self) -> str:
        """The id of this process in its records."""
        return self._boot_id

    def append(self, record: dict[str, Any]) -> None:
        """Write one record. Never raises: a log that fails must not fail the call."""
        if self._target is None:
            return
        self._sequence += 1
        try:
            line = encode(
                record
                | self._identity
                | {
                    "schema_version": SCHEMA_VERSION,
                    "boot_id": self._boot_id,
                    "sequence": self._sequence,
                    "host": self._host,
                    "instance": self._instance,
                }
            )
            if self._target == STANDARD_OUTPUT:
                os.write(1, line)
            else:
                self._append(line)
        except (OSError, ValueError) as error:
            self._report(error)
        else:
            self._report(None)

    def close(self) -> None:
        """Close the file, where one is open."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            self._finish()
        os.close(self._descriptor)
        self._descriptor = -1

    def _append(self, line: bytes) -> None:
        seconds = time.time()
        hour = int(seconds) // 3600
        if hour != self._hour or self._descriptor < 0:
            self._finish()
            self.close()
            self._descriptor = self._open(seconds)
            self._hour = hour
        self._finish()
        written = os.write(self._descriptor, line)
        if written < len(line):
            # The rest goes in front of the next record, so that no line is torn for good.
            self._unfinished = line[written:]
            raise OSError("only a part of a record was written; is the disk full?")

    def _finish(self) -> None:
        if not self._unfinished:
            return
        written = os.write(self._descriptor, self._unfinished)
        self._unfinished = self._unfinished[written:]
        if self._unfinished:
            raise OSError("only a part of a record was written; is the disk full?")

    def _open(self, seconds: float) -> int:
        hour = time.strftime("%Y%m%dT%H", time.gmtime(seconds))
        name = f"requests-{self._host}-{self._instance}-{self._boot_id[:8]}-{hour}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(Path(self._target or "") / name, flags, 0o640)

    def _report(self, error: Exception | None) -> None:
        """Say once that writing fails, and once that it works again."""
        if error is not None and not self._failing:
            self._failing = True
            _logger.error(
                "request records are being lost from sequence %d of boot_id %s on: %s: %s; "
                "calls are still served; free or repair %s",
                self._sequence,
                self._boot_id,
                type(error).__name__,
                error,
                self._target,
            )
        elif error is None and self._failing:
            self._failing = False
            _logger.warning("request records are written again from sequence %d on", self._sequence)
