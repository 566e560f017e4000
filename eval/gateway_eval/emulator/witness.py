"""What was served, counted here and nowhere else: a second witness for the logs of whatever sits in front."""

import itertools
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any


class Entry:
    """One call while it is served and after. Times are Unix seconds; tokens are those that were sent."""

    __slots__ = (
        "duration_ms", "input_tokens", "model", "outcome", "output_tokens", "path",
        "received_at", "request_id", "sequence", "started", "status", "stream",
    )  # fmt: skip

    def __init__(self, sequence: int, path: str, request_id: str) -> None:
        self.sequence = sequence
        self.path = path
        self.request_id = request_id
        self.received_at = time.time()
        self.started = time.perf_counter()
        self.duration_ms: float | None = None
        self.model: str | None = None
        self.stream = False
        self.status: int | None = None
        self.outcome: str | None = None
        self.input_tokens = 0
        self.output_tokens = 0

    def document(self) -> dict[str, Any]:
        """Return the entry as the requests page shows it."""
        received = datetime.fromtimestamp(self.received_at, UTC).isoformat(timespec="microseconds")
        return {
            "sequence": self.sequence,
            "request_id": self.request_id,
            "received_at": received.replace("+00:00", "Z"),
            "path": self.path,
            "model": self.model,
            "stream": self.stream,
            "status": self.status,
            "outcome": self.outcome,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "duration_ms": None if self.duration_ms is None else round(self.duration_ms, 3),
        }


class Witness:
    """Counts calls. `keep` is how many of the latest are kept one by one."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._sequence = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Forget everything; calls in flight count in the new time when they end."""
        self._since = time.time()
        self._received = 0
        self._flying: set[Entry] = getattr(self, "_flying", set())
        self._paths: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._models: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._input_tokens = 0
        self._output_tokens = 0
        self._entries: deque[Entry] = deque(maxlen=self._keep)

    def begin(self, path: str, request_id: str | None) -> Entry:
        """Note that a call came in."""
        sequence = next(self._sequence)
        entry = Entry(sequence, path, request_id or f"req_{sequence:016x}")
        self._received += 1
        self._flying.add(entry)
        return entry

    def end(self, entry: Entry, outcome: str) -> None:
        """Note how a call ended.

        outcome: completed, disconnected (the caller left first) or broken (a fault on demand).
        """
        self._flying.discard(entry)
        entry.outcome = outcome
        entry.duration_ms = (time.perf_counter() - entry.started) * 1000
        self._paths[entry.path] += 1
        if entry.status is not None:
            self._statuses[entry.status] += 1
        if entry.model is not None:
            self._models[entry.model] += 1
        self._outcomes[outcome] += 1
        if entry.stream:
            self._streams[outcome] += 1
        self._input_tokens += entry.input_tokens
        self._output_tokens += entry.output_tokens
        self._entries.append(entry)

    def stats(self) -> dict[str, Any]:
        """Return all counts."""
        since = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="microseconds")
        return {
            "schema_version": 1,
            "since": since.replace("+00:00", "Z"),
            "received": self._received,
            "in_flight": len(self._flying),
            "completed": self._outcomes["completed"],
            "disconnected": self._outcomes["disconnected"],
            "broken": self._outcomes["broken"],
            "by_path": dict(self._paths),
            "by_status": {str(status): count for status, count in sorted(self._statuses.items())},
            "by_model": dict(self._models),
            "streams": {name: self._streams[name] for name in ("completed", "disconnected", "broken")},
            "input_tokens": self._input_tokens,
            "output_tokens": self._output_tokens,
        }

    def requests(self, limit: int) -> dict[str, Any]:
        """Return the latest calls that ended, newest first, at most `limit`."""
        latest = itertools.islice(reversed(self._entries), limit)
        ended = sum(self._outcomes.values())
        return {
            "schema_version": 1,
            "kept": len(self._entries),
            "dropped": ended - len(self._entries),
            "requests": [entry.document() for entry in latest],
        }
