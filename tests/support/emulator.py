"""A real `gateway-eval emulator` process on a free loopback port."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

_START_SECONDS = 30
_STOP_SECONDS = 20
_LISTENS = re.compile(r"listens on (https?)://\S+?:(\d+)")


class Emulator:
    """A running emulator. `openai_url` is for an OpenAI client, `base_url` for an Anthropic or Azure one."""

    def __init__(self, process: subprocess.Popen[bytes], base_url: str, verify: str | bool) -> None:
        self.process = process
        self.base_url = base_url
        self.verify = verify
        """What `requests` needs to trust it: True, or the path of its certificate."""

    @property
    def openai_url(self) -> str:
        """The `openai_api_base` for MLflow, and the `base_url` for the OpenAI client."""
        return f"{self.base_url}/v1"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.base_url.rsplit(":", 1)[1])

    def stats(self) -> dict[str, Any]:
        """Return what it counted."""
        return self._json("GET", "/emulator/stats")

    def requests(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the latest calls that ended, newest first."""
        latest: list[dict[str, Any]] = self._json("GET", f"/emulator/requests?limit={limit}")["requests"]
        return latest

    def reset(self) -> None:
        """Let it forget what it counted."""
        self._json("POST", "/emulator/reset")

    def wait_until(self, what: str, seconds: float = 60) -> dict[str, Any]:
        """Return the stats once the expression `what` over their names is true, as in "in_flight == 0"."""
        deadline = time.monotonic() + seconds
        while True:
            stats = self.stats()
            if eval(what, {"__builtins__": {}}, stats):
                return stats
            if time.monotonic() > deadline:
                pytest.fail(f"after {seconds} s still not: {what}; stats: {stats}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Stop it as an orchestrator would and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_SECONDS)

    def _json(self, method: str, path: str) -> dict[str, Any]:
        answer = requests.request(method, self.base_url + path, timeout=10, verify=self.verify)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


@contextlib.contextmanager
def running_emulator(host: str = "127.0.0.1", **options: Any) -> Iterator[Emulator]:
    """Start an emulator and yield it once it answers; it is stopped at the end.

    Options are those of the command line: `delay_ms=5` is `--delay-ms 5`, a list repeats the option.
    """
    arguments = ["--host", host]
    for name, value in {"port": 0, **options}.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            arguments += [f"--{name.replace('_', '-')}", str(one)]
    program = str(Path(sys.executable).with_name("gateway-eval"))
    with tempfile.TemporaryFile() as narration:
        process = subprocess.Popen(
            [program, "emulator", *arguments], stdout=subprocess.DEVNULL, stderr=narration
        )
        try:
            scheme, port = _await_start(process, narration)
            yield Emulator(process, f"{scheme}://{host}:{port}", options.get("tls_certificate", True))
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _await_start(process: subprocess.Popen[bytes], narration: Any) -> tuple[str, int]:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        narration.seek(0)
        said = narration.read().decode()
        if match := _LISTENS.search(said):
            return match[1], int(match[2])
        if process.poll() is not None:
            pytest.fail(f"the emulator ended with {process.returncode}: {said}")
        if time.monotonic() > deadline:
            pytest.fail(f"the emulator did not start within {_START_SECONDS} s: {said}")
        time.sleep(0.02)
