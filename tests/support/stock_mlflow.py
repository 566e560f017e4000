"""A real `mlflow gateway start` process, as it comes from MLflow, on a free loopback port."""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.gateway import environment

_START_SECONDS = 120
_STOP_SECONDS = 30


@contextlib.contextmanager
def running_stock_mlflow(config: Mapping[str, Any]) -> Iterator[str]:
    """Start stock MLflow's gateway with this configuration and yield its URL once it answers."""
    program = str(Path(sys.executable).with_name("mlflow"))
    with tempfile.TemporaryDirectory() as directory:
        path, log = Path(directory) / "config.yaml", Path(directory) / "log"
        path.write_text(yaml.safe_dump(dict(config)))
        port = _free_port()
        options = ["--config-path", str(path), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [program, "gateway", "start", *options],
                env=environment(),
                cwd=directory,
                stdout=stream,
                stderr=stream,
            )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_start(process, url, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _await_start(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/health", timeout=10).ok:
                return
        if process.poll() is not None:
            pytest.fail(f"mlflow gateway start ended with {process.returncode}: {log.read_text()}")
        if time.monotonic() > deadline:
            pytest.fail(f"mlflow gateway start did not answer within {_START_SECONDS} s: {log.read_text()}")
        time.sleep(0.1)
