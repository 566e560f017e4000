"""What this gateway did, added up over its workers; docs/metrics.md lists the metrics."""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

from gateway_serve.call import Attempt
from gateway_serve.settings import SettingsError
from gateway_serve.tally import GaugeTally, HistogramTally, Tallies

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_MASTER = -1
_PREFIX = "llm-gateway-metrics-"
# Seconds. Calls of a language model take from tens of milliseconds to minutes.
_DURATIONS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)


class Metrics:
    """Counters and histograms of this process; `exposition` adds up those of all workers.

    Each worker counts in files of its own in memory, under a number that the master gives it. The worker that
    takes a dead one's place takes its number and goes on counting from there, so nothing is forgotten and the
    files do not pile up.

    Labels hold only what the configuration names, never what a caller makes up.
    """

    def __init__(self) -> None:
        """Raises SettingsError where there is no directory to count in."""
        self._directory, self._lock = _own_directory()
        atexit.register(_remove, self._directory, os.getpid())
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._directory)
        self._worker = _MASTER
        values.ValueClass = values.MultiProcessValue(lambda: self._worker)  # type: ignore[no-untyped-call]
        # Of no use but to keep two instances in one process apart: what is exposed is read from the files.
        self._registry = CollectorRegistry()
        labels = ("endpoint", "operation", "provider", "status", "error_class")
        self._calls = self._counter("calls", "Calls that are over.", labels)
        self._upstream_errors = self._counter(
            "upstream_errors", "Requests to a provider that failed.", ("endpoint", "provider", "error_class")
        )
        self._tokens = self._counter(
            "tokens", "Tokens as providers counted them.", ("endpoint", "provider", "direction")
        )
        self._duration = self._histogram(
            "call_duration_seconds", "From a call's first byte to its last.", ("endpoint", "operation")
        )
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "Streams: to the first chunk with output.", ("endpoint",)
        )
        self.tallies = Tallies()
        self._in_flight = self._gauge("calls_in_flight", "Calls that are under way.", "livesum")
        self.in_flight = GaugeTally(self._in_flight, self.tallies)
        self.records_written = self._counter("request_records_written", "Request records in the spool.")
        self.records_lost = self._counter(
            "request_records_lost", "Request records that could not be written."
        )
        self.log_writable = self._gauge(
            "request_log_writable", "1 where every worker can write request records, else 0.", "livemin"
        )
        self.keys_current = self._gauge(
            "api_keys_current", "1 where the file of keys as it is now is in force, else 0.", "livemin"
        )
        self.keys_file_mtime = self._gauge(
            "api_keys_file_mtime_seconds",
            "Time of change of the file of keys that each worker has in force; 0 without one.",
            "liveall",
        )
        self._build_info = Gauge(
            "llm_gateway_build_info",
            "1 for what runs.",
            ("version", "config_digest"),
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        # This process serves no call, so it must not speak of living workers.
        self.forget(_MASTER)
        # By what a record says; looking a child up costs more than counting.
        self._kinds: dict[tuple[Any, ...], _Kind] = {}

    def begin_process(self, worker: int, version: str, config_digest: str) -> None:
        """Count from now on as the worker of this number, which no other process has."""
        self._worker = worker
        self._kinds = {}
        self._in_flight.set(0)
        self.log_writable.set(1)
        self.keys_current.set(1)
        self._build_info.labels(version, config_digest).set(1)

    def forget(self, worker: int) -> None:
        """Drop what is only true of a worker that lives; called once it is dead."""
        multiprocess.mark_process_dead(worker, self._directory)  # type: ignore[no-untyped-call]

    def count(self, records: Iterable[Mapping[str, Any]], attempts: Iterable[Attempt]) -> None:
        """Count a call that is over, by its records, the final one last, and its requests to providers."""
        for record in records:
            self._of(record).count(record)
        for attempt in attempts:
            error, endpoint = attempt.error_class, attempt.endpoint
            if error is not None and endpoint is not None:
                self._upstream_errors.labels(endpoint.name, endpoint.provider or "", error).inc()

    def exposition(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, self._directory)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def _of(self, record: Mapping[str, Any]) -> "_Kind":
        key = (
            record["endpoint"],
            record["operation"],
            record["provider"],
            record["http_status"],
            record["error_class"],
        )
        kind = self._kinds.get(key)
        if kind is None:
            endpoint, operation, provider = (part or "" for part in key[:3])
            kind = self._kinds[key] = _Kind(
                self.tallies,
                self._calls.labels(endpoint, operation, provider, str(key[3]), key[4] or ""),
                self._tokens.labels(endpoint, provider, "input"),
                self._tokens.labels(endpoint, provider, "output"),
                HistogramTally(self._duration.labels(endpoint, operation)),
                HistogramTally(self._first_token.labels(endpoint)),
            )
        return kind

    def _counter(self, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
        return Counter(f"llm_gateway_{name}", text, tuple(labels), registry=self._registry)

    def _histogram(self, name: str, text: str, labels: Iterable[str]) -> Histogram:
        return Histogram(
            f"llm_gateway_{name}", text, tuple(labels), registry=self._registry, buckets=_DURATIONS
        )

    def _gauge(self, name: str, text: str, mode: Any) -> Gauge:
        return Gauge(f"llm_gateway_{name}", text, registry=self._registry, multiprocess_mode=mode)


class _Kind:
    """Calls with the same labels, and what of them is still to be added to the metrics."""

    __slots__ = (
        "_calls",
        "_counters",
        "_duration",
        "_first_token",
        "_input_tokens",
        "_output_tokens",
        "_tallies",
        "_waits",
    )

    def __init__(
        self,
        tallies: Tallies,
        calls: Counter,
        input_tokens: Counter,
        output_tokens: Counter,
        duration: HistogramTally,
        first_token: HistogramTally,
    ) -> None:
        self._tallies = tallies
        self._counters = (calls, input_tokens, output_tokens)
        self._duration = duration
        self._first_token = first_token
        self._calls = self._input_tokens = self._output_tokens = 0
        self._waits = False

    def count(self, record: Mapping[str, Any]) -> None:
        """Count one record of such a call, soon."""
        if record["final"]:
            self._calls += 1
            self._duration.observe(record["duration_ms"] / 1000)
        self._input_tokens += record["input_tokens"] or 0
        self._output_tokens += record["output_tokens"] or 0
        if (first := record["time_to_first_token_ms"]) is not None:
            self._first_token.observe(first / 1000)
        if not self._waits:
            self._waits = True
            self._tallies.wait_for(self)

    def flush(self) -> None:
        """Count what waits now."""
        amounts = (self._calls, self._input_tokens, self._output_tokens)
        self._calls = self._input_tokens = self._output_tokens = 0
        self._waits = False
        for counter, amount in zip(self._counters, amounts, strict=True):
            if amount:
                counter.inc(amount)
        self._duration.flush()
        self._first_token.flush()


def memory_directory() -> str | None:
    """Return a directory in memory where files may be made; None where only the usual places are left."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - files are made safely there


def _own_directory() -> tuple[Path, int]:
    """Make a directory, and hold a lock in it for as long as this process or one forked from it lives."""
    # Not on disk: the root file system may be read-only, and a slow disk must not slow a call.
    memory = memory_directory()
    try:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory))
    except OSError as error:
        raise SettingsError(
            f"there is no directory for metrics: {error.strerror}; mount a tmpfs on /dev/shm or /tmp"
        ) from None
    for left in directory.parent.glob(f"{_PREFIX}*"):
        if left != directory and os.access(left, os.W_OK):
            _sweep(left)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return directory, descriptor


def _sweep(directory: Path) -> None:
    """Remove what a gateway left that was killed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os.close(descriptor)


def _remove(directory: Path, owner: int) -> None:
    # Workers end through here, too, and are not the ones to remove it.
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
