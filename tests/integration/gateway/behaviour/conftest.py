"""MLflow's own gateway app, unchanged, with the configuration that this gateway has too."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.gateway import environment, wait_until

_STOCK = """
import sys, uvicorn
from mlflow.gateway.app import create_app_from_path
server = uvicorn.Server(uvicorn.Config(create_app_from_path(sys.argv[1]), port=0, log_level="info"))
server.run()
"""


@pytest.fixture(scope="session")
def stock(config: dict[str, Any]) -> Iterator[str]:
    """Yield the URL of MLflow's own app."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        path.write_text(yaml.safe_dump(config))
        log = Path(directory, "log")
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-c", _STOCK, str(path)], env=environment(), stdout=stream, stderr=stream
            )
        try:
            found: list[str] = []

            def started() -> bool:
                found[:] = re.findall(r"running on (http://[\d.:]+)", log.read_text())
                assert process.poll() is None, log.read_text()
                return bool(found)

            wait_until(started, "MLflow's own app", 60)
            yield found[0]
        finally:
            process.terminate()
            process.wait(20)
