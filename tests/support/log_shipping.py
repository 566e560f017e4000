"""Fluent Bit at both ends, in containers on a network of their own, configured as the roles configure it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from support.roles import Role, defaults

IMAGE: str = defaults("log_store")["log_store_image"]
STORE_NAME = "store-1"


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], check=check, capture_output=True, text=True, timeout=120)


def reason_to_skip() -> str | None:
    """Why Fluent Bit cannot run here, in words; None where it can."""
    try:
        if docker("version", "--format", "{{.Server.Version}}", check=False).returncode != 0:
            return "no Docker Engine answers, and Fluent Bit runs in a container"
        if docker("image", "inspect", IMAGE, check=False).returncode == 0:
            return None
        if docker("pull", "--quiet", IMAGE, check=False).returncode == 0:
            return None
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "no docker command answers, and Fluent Bit runs in a container"
    return f"the image {IMAGE} is not on this machine and cannot be pulled"


class Authority:
    """An authority that signs for a store and its shippers, as role log_store makes one."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.certificate = directory / "ca.crt"
        self._key = directory / "ca.key"
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=authority for tests",
            "-keyout", str(self._key), "-out", str(self.certificate),
        )  # fmt: skip

    def sign(self, directory: Path, side: str, name: str) -> None:
        """Write SIDE.crt, SIDE.key and ca.crt; a side is server or client."""
        request = directory / f"{side}.csr"
        self._openssl(
            "req", *_NEW_KEY, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
            "-addext", f"extendedKeyUsage={side}Auth",
            "-keyout", str(directory / f"{side}.key"), "-out", str(request),
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key),
            "-days", "2", "-copy_extensions", "copyall", "-out", str(directory / f"{side}.crt"),
        )  # fmt: skip
        shutil.copy(self.certificate, directory / "ca.crt")

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Container:
    """One Fluent Bit with the restrictions that the roles put on it."""

    def __init__(self, name: str, network: str, config: Path, config_path: str, *options: str) -> None:
        self.name = name
        self._start = [
            "run", "--detach", "--name", name, "--network", network, "--user", f"{os.getuid()}:{os.getgid()}",
            "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            "--volume", f"{config}:{config_path}:ro", *options,
            "--entrypoint=/fluent-bit/bin/fluent-bit", IMAGE, f"--config={config_path}/fluent-bit.yaml",
        ]  # fmt: skip

    def start(self) -> None:
        """Start it; where it was stopped or killed, start it again."""
        if docker("start", self.name, check=False).returncode != 0:
            docker(*self._start)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        docker("kill", "--signal=KILL", self.name)

    @property
    def log(self) -> str:
        done = docker("logs", self.name, check=False)
        return done.stdout + done.stderr


class Shipping:
    """A store, one shipping host, and the directories of both."""

    def __init__(self, path: Path, network: str, **shipper: Any) -> None:
        self.spool, self.incoming, self.buffer = path / "spool", path / "incoming", path / "state" / "buffer"
        for directory in (self.spool / "requests", self.spool / "access", self.incoming / "requests"):
            directory.mkdir(parents=True)
        for directory in (
            self.incoming / "access",
            self.buffer,
            path / "store_buffer",
            path / "server",
            path / "client",
        ):
            directory.mkdir(parents=True)
        self.server_files, self.client_files = path / "server", path / "client"
        authority = Authority(path / "authority")
        authority.sign(self.server_files, "server", STORE_NAME)
        authority.sign(self.client_files, "client", SHIPPER["inventory_hostname"])
        for directory in (self.server_files, self.client_files):
            (directory / "shared_key").write_text("a key for tests")

        store, host = Role("log_store"), Role("log_shipper", **shipper, **SHIPPER)
        (self.server_files / "fluent-bit.yaml").write_text(store.render("fluent-bit.yaml.j2"))
        (self.client_files / "fluent-bit.yaml").write_text(host.render("fluent-bit.yaml.j2"))
        self.store = Container(
            f"{network}-store", network, self.server_files, store.evaluate("_log_store_server_path"),
            f"--network-alias={STORE_NAME}",
            f"--volume={path / 'store_buffer'}:/buffer", f"--volume={self.incoming}:/incoming",
        )  # fmt: skip
        self.shipper = Container(
            f"{network}-shipper", network, self.client_files, host.evaluate("_log_shipper_config_path"),
            f"--volume={path / 'state'}:/state", f"--volume={self.spool}:/spool:ro",
        )  # fmt: skip

    def received(self, name: str) -> list[bytes]:
        """Whole lines of one file in the store, such as requests/NAME.jsonl."""
        path = self.incoming / name
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def missing(self, written: dict[str, list[bytes]]) -> int:
        """Lines that were written and are not in the store's file of the same name."""
        return sum(
            sum((Counter(lines) - Counter(self.received(name))).values()) for name, lines in written.items()
        )

    def buffered_bytes(self) -> int:
        """Bytes in the shipper's buffer on disk."""
        sizes = 0
        for file in self.buffer.rglob("*.flb"):
            try:
                sizes += file.stat().st_size
            except FileNotFoundError:
                continue
        return sizes


SHIPPER: dict[str, Any] = {
    "inventory_hostname": "gateway-2",
    "log_shipper_store": STORE_NAME,
    "log_shipper_store_address": STORE_NAME,
}


@contextmanager
def shipping(path: Path, **shipper: Any) -> Iterator[Shipping]:
    """Directories, network and configuration of a store and one shipping host; nothing is started yet."""
    network = f"llm-gateway-test-logs-{uuid4().hex[:8]}"
    docker("network", "create", network)
    try:
        yield Shipping(path, network, **shipper)
    finally:
        docker("rm", "--force", f"{network}-store", f"{network}-shipper", check=False)
        docker("network", "rm", network, check=False)
