"""The deployed fleet that the tests of this folder share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from support.fleet import ANSIBLE_LOG, REPOSITORY, Fleet, molecule

FLUENT_BIT = "fluent/fluent-bit:5.1.1"


def _docker(*arguments: str) -> bool:
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Three test hosts with the service on them; removed at the end."""
    if not shutil.which("docker") or not _docker("info"):
        pytest.skip("no Docker Engine answers on this machine, so there can be no test hosts")
    if not _docker("image", "inspect", FLUENT_BIT) and not _docker("pull", "--quiet", FLUENT_BIT):
        pytest.skip(f"the image {FLUENT_BIT} is neither on this machine nor can it be pulled")
    inventories = [
        REPOSITORY / path
        for path in (
            "inventories/lab",
            "demo/inventory",
            "tests/molecule/fleet/inventory",
            "build/molecule_fleet",
        )
    ]
    try:
        ANSIBLE_LOG.unlink(missing_ok=True)
        molecule("destroy")  # what an interrupted run left, which create would take for its own
        molecule("create")
        molecule("converge")
        yield Fleet(*inventories)
    finally:
        molecule("destroy")
