"""A real `gateway-serve` process on a free loopback port, and what it wrote."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

_START_SECONDS = 60
_STOP_SECONDS = 30
_LISTENS = re.compile(r"Listening at: http://\S+?:(\d+) ")

KEY = "sk-canary-7f1d2c3b4a596877"
"""The credential in every test configuration: it must turn up nowhere but upstream."""


def endpoint(name: str, kind: str, provider: str, model: str, **config: Any) -> dict[str, Any]:
    """Return one endpoint of a gateway configuration."""
    return {
        "name": name,
        "endpoint_type": f"llm/v1/{kind}",
        "model": {"provider": provider, "name": model, "config": config},
    }


def openai_endpoint(name: str, base: str, kind: str = "chat", model: str = "gpt-4o") -> dict[str, Any]:
    """Return an OpenAI endpoint whose key is in the environment variable PROVIDER_KEY."""
    return endpoint(name, kind, "openai", model, openai_api_key="$PROVIDER_KEY", openai_api_base=base)


class OpenStream:
    """A streamed answer under way."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self._chunks = response.iter_content(None)
        self.first: bytes = next(self._chunks)

    def rest(self) -> bytes:
        """Return all that still comes."""
        return b"".join(self._chunks)

    def close(self) -> None:
        """Leave."""
        self.response.close()


class Gateway:
    """A running gateway."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, spool: Path, log: Path, config: Path):
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.spool = spool
        self.config = config
        self._log = log

    def post(self, path: str, body: Any, **options: Any) -> requests.Response:
        """Post a JSON body, or bytes as they are."""
        options.setdefault("timeout", 30)
        if isinstance(body, bytes):
            options["data"] = body
            options.setdefault("headers", {}).setdefault("content-type", "application/json")
        else:
            options["json"] = body
        return requests.post(self.url + path, **options)

    def chat(self, prompt: str, endpoint: str = "chat", **body: Any) -> requests.Response:
        """Ask an endpoint over /v1/chat/completions; `stream=True` leaves the answer unread."""
        message = {"model": endpoint, "messages": [{"role": "user", "content": prompt}], **body}
        return self.post("/v1/chat/completions", message, stream=bool(body.get("stream")))

    def open_stream(self, prompt: str, endpoint: str = "chat") -> "OpenStream":
        """Ask for a stream and return it once its first chunk is there."""
        return OpenStream(self.chat(prompt, endpoint, stream=True))

    def records(self) -> list[dict[str, Any]]:
        """Return all records in the spool, in the order in which the calls came in."""
        # What follows the last line end is a record being written right now.
        found = [
            json.loads(line) for file in self.spool.iterdir() for line in file.read_bytes().split(b"\n")[:-1]
        ]
        return sorted(found, key=lambda record: (record["received_at"], record["attempt"]))

    def wait_for_records(self, count: int, seconds: float = 60) -> list[dict[str, Any]]:
        """Return all records once there are `count` of them; more, or fewer at the end, fail the test."""
        wait_until(lambda: len(self.records()) >= count, f"{count} request records", seconds)
        records = self.records()
        assert len(records) == count, records
        return records

    def record_of(self, response: requests.Response) -> dict[str, Any]:
        """Return the only record of an answered call."""
        request_id = response.headers["x-request-id"]
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [record for record in self.records() if record["request_id"] == request_id]
            return bool(found)

        wait_until(there, f"the record of {request_id}")
        assert len(found) == 1, found
        return found[0]

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the process's own log; a line that is no JSON fails the test."""
        return [
            json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line[-1] == "\n"
        ]

    def said(self, text: str) -> bool:
        """Tell whether a line of the log holds the text."""
        return any(text in line["message"] for line in self.log())

    def count_said(self, text: str) -> int:
        """Return how many lines of the log hold the text."""
        return sum(text in line["message"] for line in self.log())

    def accepts(self) -> bool:
        """Tell whether a new connection is taken."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def everything_written(self) -> str:
        """Return all that it wrote to log and spool."""
        return self._log.read_text() + "".join(file.read_text() for file in self.spool.iterdir())

    def stop(self, seconds: float = _STOP_SECONDS) -> int:
        """Stop it as an orchestrator would and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    """Return once the condition holds; fail the test where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still waiting for {what}")
        time.sleep(0.02)


def program() -> str:
    """Return the path of gateway-serve."""
    return str(Path(sys.executable).with_name("gateway-serve"))


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what would steer a gateway, and with the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEWAY_", "MLFLOW_"))}
    return kept | {"PROVIDER_KEY": KEY} | variables


@contextlib.contextmanager
def running_gateway(
    config: Mapping[str, Any], workers: int = 1, options: tuple[str, ...] = (), **variables: str
) -> Iterator[Gateway]:
    """Start a gateway with this configuration and environment, and yield it once it answers."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        spool = home / "spool"
        spool.mkdir()
        path = home / "config.yaml"
        path.write_text(yaml.safe_dump(dict(config)))
        log = home / "log"
        settings = {"GATEWAY_REQUEST_LOG": str(spool), "GATEWAY_HOST": "host-1", "GATEWAY_INSTANCE": "gw-1"}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [program(), "--config-path", str(path), "--port", "0", "--workers", str(workers), *options],
                env=environment(**(settings | variables)),
                stdout=stream,
                stderr=stream,
            )
        try:
            gateway = Gateway(process, _await_start(process, log), spool, log, path)
            yield gateway
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _await_start(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if match := _LISTENS.search(log.read_text()):
            port = int(match[1])
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{port}/health", timeout=10).ok:
                    return port
        if process.poll() is not None:
            pytest.fail(f"gateway-serve ended with {process.returncode}: {log.read_text()}")
        if time.monotonic() > deadline:
            pytest.fail(f"gateway-serve did not start within {_START_SECONDS} s: {log.read_text()}")
        time.sleep(0.05)
