"""The file of keys on disk, followed as it changes."""

import logging
import threading
from pathlib import Path

from prometheus_client import Gauge

from gateway_serve.api_keys import ApiKeys, KeyFileError

_logger = logging.getLogger(__name__)

_INTERVAL_S = 1.0


class KeyFile:
    """The keys of a file, at most a second or two old.

    Every process reads the file for itself; one of them tells the log, so that a change is one line.
    A file that cannot be used leaves the keys before it in force.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = ApiKeys([])
        self.problem: str | None = None  # why the file as it is now is not in force
        self._seen: tuple[int, int, int, int] | None = None
        self._current: Gauge | None = None
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None

    def load(self) -> None:
        """Read the file now. Raises KeyFileError."""
        # Looked at before it is read: a change in between is then seen next time.
        self._seen = self._stamp()
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
        self.problem = None

    def refresh(self, tell: bool = False) -> None:
        """Read the file if it is not the one that was read last; `tell` the log what became of it."""
        if self._stamp() == self._seen:
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

    def watch(self, current: Gauge) -> None:
        """Follow the file in a thread of this process; `current` shows whether it is in force."""
        self._current = current
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
        if self._current is not None:
            self._current.set(self.problem is None)

    def _stamp(self) -> tuple[int, int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
