"""The directory in memory that workers count in: its own, gone with the gateway, and never in the way."""

import os
import signal
from pathlib import Path

import pytest

from gateway_serve import metrics
from gateway_serve.metrics import Metrics
from gateway_serve.settings import SettingsError


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(metrics, "memory_directory", lambda: str(tmp_path))
    return tmp_path


def test_what_a_killed_gateway_left_is_removed_and_what_is_in_use_is_not(memory: Path) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Metrics()
            os.write(writer, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.read(reader, 1)
    (left,) = memory.iterdir()
    Metrics()
    assert left.exists()  # its process lives
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    Metrics()
    assert not left.exists()


def test_without_a_place_to_count_it_says_what_to_do(memory: Path) -> None:
    memory.rmdir()
    with pytest.raises(SettingsError, match="mount a tmpfs"):
        Metrics()
