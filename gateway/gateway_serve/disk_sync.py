"""Flushing to disk beside the work: at most once a second, never in the way of a call."""

import contextlib
import logging
import os
import threading
from collections import deque

_logger = logging.getLogger(__name__)

_INTERVAL_S = 1.0


class DiskSync:
    """A thread that flushes and closes the files that one other thread writes.

    Before `start`, as in a process that is about to fork, nothing is flushed.
    """

    def __init__(self) -> None:
        self.problem: str | None = None  # why the last flush failed
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._wanted = False
        self._current = -1
        self._removed = -1
        self._left: deque[int] = deque()

    def start(self) -> None:
        """Begin, in this process."""
        self._thread = threading.Thread(target=self._run, name="disk sync", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Flush and close the files that were left, and end."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._close_left()

    def wanted(self, descriptor: int) -> None:
        """Flush this file soon."""
        self._current = descriptor
        if not self._wanted and self._thread is not None:
            self._wanted = True
            self._wake.set()

    def is_removed(self, descriptor: int) -> bool:
        """Tell whether the file was found to be deleted: what is written to it, nobody will read."""
        return self._removed == descriptor

    def close(self, descriptor: int) -> None:
        """Flush and close a file that is not written to any more."""
        self._current = -1
        self._left.append(descriptor)
        if self._thread is None:
            self._close_left()
        else:
            self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._wanted = False
            descriptor = self._current
            if descriptor >= 0:
                self._flush(descriptor)
                if os.fstat(descriptor).st_nlink == 0:
                    self._removed = descriptor
            self._close_left()
            self._stop.wait(_INTERVAL_S)

    def _close_left(self) -> None:
        while self._left:
            descriptor = self._left.popleft()
            self._flush(descriptor)
            if self._removed == descriptor:
                self._removed = -1
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _flush(self, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError as error:
            if self.problem is None:
                _logger.error("request records may not survive a power failure: flushing failed: %s", error)
            self.problem = f"request records cannot be flushed to disk: {error.strerror}"
        else:
            self.problem = None
