"""Certificates for servers on loopback."""

import re
import subprocess
from pathlib import Path


def certificate_for(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for a host name or IPv4 address, signed by itself, and its key; return paths."""
    kind = "IP" if re.fullmatch(r"[0-9.]+", name) else "DNS"
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
