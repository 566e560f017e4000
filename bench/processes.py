"""Programs that a benchmark starts, and what they weigh."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

_START_SECONDS = 120
_STOP_SECONDS = 20


class NotAvailableError(Exception):
    """A contender that cannot run here; the message says why."""


class Running:
    """A started program and its children."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def pss_mb(self) -> float:
        """Return the memory of the program and all its children in MB (10^6 bytes).

        Memory that n processes share counts as 1/n in each: https://docs.kernel.org/filesystems/proc.html
        """
        return sum(_kb(pid, "Pss") for pid in _tree(self.process.pid)) * 1024 / 1e6

    def largest_rss_mb(self) -> float:
        """Return the resident memory of its largest process in MB (10^6 bytes)."""
        return max(_kb(pid, "Rss") for pid in _tree(self.process.pid)) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """Return the CPU time that it and its children have used."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.process.pid))

    def wait_for(self, url: str) -> None:
        """Return once the URL answers with any HTTP status. Raises NotAvailableError with the log's end."""
        deadline = time.monotonic() + _START_SECONDS
        trusting = ssl._create_unverified_context()  # our own certificate, on loopback
        while True:
            try:
                urllib.request.urlopen(url, timeout=5, context=trusting).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise NotAvailableError(f"it did not start: {_end_of(self._log)}") from None
            time.sleep(0.1)


@contextlib.contextmanager
def running(command: Sequence[str | Path], log: Path, url: str, **environment: str) -> Iterator[Running]:
    """Start a program, yield it once `url` answers, and stop it with its children at the end."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=clean_environment() | environment,
            start_new_session=True,
        )
    started = Running(process, log)
    try:
        started.wait_for(url)
        yield started
    finally:
        _stop(process)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would steer a gateway or send its calls elsewhere."""
    steering = re.compile(r"(GATEWAY|MLFLOW|LITELLM|PORTKEY)_.*|.*_proxy", re.IGNORECASE)
    return {name: value for name, value in os.environ.items() if not steering.fullmatch(name)}


def free_port() -> int:
    """Return a port on loopback that nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _stop(process: subprocess.Popen[bytes]) -> None:
    # The whole session, which is ours alone: some programs leave their children behind.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            if number == signal.SIGKILL or not _tree(process.pid):
                return


def _tree(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += _tree(int(child))
        return found
    return []


def _cpu_seconds(pid: int) -> float:
    try:
        # After the name in parentheses, which may hold anything: proc_pid_stat(5), utime and stime.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _kb(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _end_of(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
