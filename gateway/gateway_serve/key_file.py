"""The file of keys on disk, followed as it changes."""

import logging
import os
import threading
from pathlib import Path
from typing import Protocol

from prometheus_client import Gauge

from gateway_serve.api_keys import ApiKeys, KeyFileError

_logger = logging.getLogger(__name__)

_INTERVAL_S = 1.0


class KeyMetrics(Protocol):
    """Where a process tells what became of the file."""

    keys_current: Gauge
    keys_file_mtime: Gauge


class KeyFile:
    """The keys of a file, at most a second or two old.

    Every process reads the file for itself; one of them tells the log, so that a change is one line.
    A file that cannot be used leaves the keys before it in force.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = ApiKeys([])
        self.problem: str | None = None  # why the file as it is now is not in force
        self.mtime = 0.0  # of the version in force, in seconds since 1970
        self._seen: os.stat_result | None = None
        self._metrics: KeyMetrics | None = None
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def load(self) -> None:
        """Read the file now. Raises KeyFileError."""
        # Looked at before it is read: a change in between is then seen next time.
        self._seen = self._stat()
        try:
            text = self.path.read_bytes()
        except OSError as error:
            raise KeyFileError(
                f"{self.path} cannot be read: {error.strerror or type(error).__name__}; "
                "name a file that the gateway's user may read"
            ) from None
        try:
            self.keys = ApiKeys.parse(text)
        except KeyFileError as error:
            raise KeyFileError(f"{self.path} is no valid file of keys: {error}") from None
        self.mtime = self._seen.st_mtime if self._seen is not None else 0.0
        self.problem = None

    def refresh(self, tell: bool = False) -> None:
        """Read the file if it is not the one that was read last; `tell` the log what became of it."""
        if _stamp(self._stat()) == _stamp(self._seen):
            return
        try:
            self.load()
        except KeyFileError as error:
            self.problem = str(error)
            if tell:
                _logger.error("%s; the %d keys before it stay in force", error, len(self.keys))
            return
        if tell:
            _logger.info("%d keys loaded from %s", len(self.keys), self.path)

    def watch(self, metrics: KeyMetrics) -> None:
        """Follow the file in a thread of this process; the metrics show which version is in force."""
        self._metrics = metrics
        self._check()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._follow, name="key file", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """End the watching."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None

    def _follow(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._check()

    def _check(self) -> None:
        self.refresh()
        if self._metrics is not None:
            # After the keys themselves: whoever reads it here finds them in force.
            self._metrics.keys_file_mtime.set(self.mtime)
            self._metrics.keys_current.set(self.problem is None)

    def _stat(self) -> os.stat_result | None:
        try:
            return self.path.stat()
        except OSError:
            return None


def _stamp(found: os.stat_result | None) -> tuple[int, int, int, int] | None:
    """Return what tells one version of a file from the next."""
    return found and (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size)
