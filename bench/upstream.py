"""The provider behind all contenders: the emulator over TLS on loopback."""

import contextlib
import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import Running, free_port, running

KEY = "sk-bench"


@dataclass(frozen=True)
class Upstream:
    """A running provider. `base_url` ends in /v1; whoever calls it trusts `certificate`."""

    base_url: str
    certificate: Path
    process: Running

    def stats(self) -> dict[str, Any]:
        """Return the emulator's own count of what it served."""
        trusting = ssl.create_default_context(cafile=str(self.certificate))
        url = self.base_url.removesuffix("/v1") + "/emulator/stats"
        with urllib.request.urlopen(url, timeout=30, context=trusting) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def emulator(directory: Path, *options: str) -> Iterator[Upstream]:
    """Run the emulator; its certificate and log go into the directory."""
    certificate, key = make_certificate(directory)
    port = free_port()
    command = [program("gateway-eval"), "emulator", "--port", port, "--keep", "0"]
    tls = ["--tls-certificate", certificate, "--tls-key", key]
    url = f"https://127.0.0.1:{port}"
    with running(
        [*map(str, command), *map(str, tls), *options], directory / "emulator.log", f"{url}/health"
    ) as started:
        yield Upstream(f"{url}/v1", certificate, started)


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, which is its own authority, and its key."""
    certificate, key = directory / "upstream.pem", directory / "upstream.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def program(name: str) -> Path:
    """Return the path of a console script of this Python environment."""
    return Path(sys.executable).with_name(name)
