"""The image as it is run: no root, no capabilities, a root file system that is read-only."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support.gateway import KEY, openai_endpoint, wait_until

REPOSITORY = Path(__file__).parents[3]
IMAGE = "llm-gateway:test"
BASES = ("debian:trixie-slim", "llm-gateway-base:trixie", "debian:trixie-slim-local")


def docker(*arguments: str, timeout: float = 120) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    if not shutil.which("docker") or subprocess.run(["docker", "version"], capture_output=True).returncode:
        pytest.skip("no Docker Engine here")
    bases = [os.environ["TEST_BASE_IMAGE"]] if "TEST_BASE_IMAGE" in os.environ else BASES
    for base in bases:
        if not subprocess.run(["docker", "image", "inspect", base], capture_output=True).returncode:
            break
    else:
        pytest.skip(f"none of the base images {', '.join(bases)} is on this machine")
    bundle = ["--ca-bundle", found] if (found := os.environ.get("SSL_CERT_FILE")) else []
    arguments = [str(REPOSITORY / "gateway" / "build_image.sh"), "--tag", IMAGE, "--base", base, *bundle]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return IMAGE


@pytest.fixture
def container(image: str, tmp_path: Path) -> Iterator[str]:
    config, spool, secrets = (tmp_path / name for name in ("config", "spool", "secrets"))
    for directory in (config, spool, secrets):
        directory.mkdir()
    (config / "config.yaml").write_text(
        yaml.safe_dump({"endpoints": [openai_endpoint("chat", "http://127.0.0.1:9/v1")]})
    )
    (secrets / "PROVIDER_KEY").write_text(KEY)
    tmp_path.chmod(0o755)
    for directory in (spool, secrets):
        os.chown(directory, 10001, 10001)
        directory.chmod(0o700)
    os.chown(secrets / "PROVIDER_KEY", 10001, 10001)
    (secrets / "PROVIDER_KEY").chmod(0o400)
    options = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m"]
    variables = {
        "MLFLOW_GATEWAY_CONFIG": "/etc/llm-gateway/config.yaml",
        "GATEWAY_REQUEST_LOG": "/spool",
        "GATEWAY_SECRETS_DIR": "/run/secrets/llm-gateway",
        "GATEWAY_HOST": "host-1",
        "GATEWAY_INSTANCE": "llm-gateway-1",
    }
    mounts = [f"{config}:/etc/llm-gateway:ro", f"{spool}:/spool", f"{secrets}:/run/secrets/llm-gateway:ro"]
    for name, value in variables.items():
        options += ["--env", f"{name}={value}"]
    for mount in mounts:
        options += ["--volume", mount]
    started = docker("run", "--detach", *options, "--publish", "127.0.0.1::5000", image)
    try:
        yield started
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["docker", "rm", "--force", started], capture_output=True, timeout=60)


def inspect(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(docker("inspect", container))[0]
    return found


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give the spool to the container's user")
def test_the_image_serves_as_it_is_deployed(container: str, tmp_path: Path) -> None:
    wait_until(
        lambda: inspect(container)["State"]["Health"]["Status"] == "healthy", "a healthy container", 90
    )
    state = inspect(container)
    port = state["NetworkSettings"]["Ports"]["5000/tcp"][0]["HostPort"]
    body = {"messages": [{"role": "user", "content": "hello"}]}
    answer = requests.post(f"http://127.0.0.1:{port}/gateway/chat/invocations", json=body, timeout=30)
    assert answer.status_code == 502  # its provider is nowhere

    assert state["Config"]["User"] == "10001:10001"
    assert KEY not in json.dumps(state)
    assert len(docker("top", container, "-o", "pid").splitlines()) == 1 + 1 + 4  # heading, master, workers
    wait_until(lambda: list((tmp_path / "spool").iterdir()), "the record")
    (file,) = (tmp_path / "spool").iterdir()
    record = json.loads(file.read_text())
    assert (record["host"], record["instance"], record["error_class"]) == (
        "host-1",
        "llm-gateway-1",
        "network",
    )

    docker("stop", "--time", "60", container)
    assert inspect(container)["State"]["ExitCode"] == 0


def test_its_bill_of_materials_has_every_package(image: str) -> None:
    program = [sys.executable, str(REPOSITORY / "gateway" / "image_sbom.py"), image]
    bill = subprocess.run(program, capture_output=True, text=True, check=True).stdout

    validated = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    assert validated is None, validated
    found = {component["purl"] for component in json.loads(bill)["components"]}
    pinned = (REPOSITORY / "requirements" / "gateway.txt").read_text()
    [mlflow] = re.findall(r"^mlflow-skinny==([^ ]+)", pinned, re.MULTILINE)
    assert f"pkg:pypi/mlflow-skinny@{mlflow}" in found
    version = docker("run", "--rm", "--entrypoint", "dpkg-query", image, "-W", "-f", "${Version}", "libc6")
    assert any(purl.startswith("pkg:deb/debian/libc6@") and quote(version) in purl for purl in found)


def test_an_image_that_is_not_here_has_no_bill() -> None:
    program = [sys.executable, str(REPOSITORY / "gateway" / "image_sbom.py"), "llm-gateway:none"]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("image_sbom.py: ")
