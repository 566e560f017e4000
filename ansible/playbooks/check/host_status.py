#!/usr/bin/python3 -I
"""Say in one JSON object how a host of the fleet is: containers, units, certificates, disks, records, clock.

host_status.py [PATH ...]     paths whose disks matter
"""

import json
import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIGURATION = Path("/etc/llm-gateway")
SPOOL = Path("/usr/local/sbin/llm-gateway-spool")
DAY = 86400


def output(*command: str) -> str | None:
    """What a command prints; None where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed commands
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def containers() -> list[dict[str, Any]] | None:
    """The service's containers; None where no engine answers."""
    listed = output("docker", "ps", "--all", "--quiet", "--filter", "name=^/llm-gateway-")
    if listed is None:
        return None
    found = json.loads(output("docker", "inspect", *listed.split()) or "[]") if listed else []
    return [
        {
            "name": container["Name"].lstrip("/"),
            "image": container["Config"]["Image"],
            "status": container["State"]["Status"],
            "health": container["State"].get("Health", {}).get("Status"),
            "restarts": container["RestartCount"],
            "since": container["State"]["StartedAt"][:19] + "Z",
            "release": next(
                (
                    Path(mount["Source"]).name
                    for mount in container["Mounts"]
                    if mount["Destination"] == "/etc/llm-gateway"
                ),
                None,
            ),
        }
        for container in sorted(found, key=lambda container: container["Name"])
    ]


def units() -> dict[str, str]:
    """The service's units that are to run, or failed, and their state."""
    found = {}
    for path in sorted(Path("/etc/systemd/system").glob("llm-gateway-*")):
        state = (output("systemctl", "show", "--property=ActiveState", "--value", path.name) or "").strip()
        enabled = output("systemctl", "is-enabled", path.name) is not None
        if state == "failed" or (enabled and path.suffix in (".timer", ".service")):
            found[path.name] = state
    return found


def certificates() -> dict[str, float]:
    """Days that each certificate still lasts."""
    found = {}
    for path in sorted(CONFIGURATION.rglob("*.crt")):
        try:
            # What CPython's own tests read certificates with; the hosts have no other reader for certain.
            ends: str = ssl._ssl._test_decode_cert(str(path))["notAfter"]  # type: ignore[attr-defined]
        except (OSError, ssl.SSLError, KeyError):
            continue
        found[str(path.relative_to(CONFIGURATION))] = round(
            (ssl.cert_time_to_seconds(ends) - time.time()) / DAY, 1
        )
    return found


def disks(paths: list[str]) -> dict[str, float]:
    """Percent used of each file system that one of these paths is on, by the first of them."""
    found: dict[int, tuple[str, float]] = {}
    for path in paths:
        if Path(path).exists():
            usage = shutil.disk_usage(path)
            found.setdefault(
                Path(path).stat().st_dev, (path, round(100 * usage.used / (usage.used + usage.free), 1))
            )
    return dict(found.values())


def waiting() -> list[str] | None:
    """Files untouched for ten minutes that the store does not have; None where none is shipped."""
    if not SPOOL.exists():
        return None
    minutes = [str(SPOOL), "--older-than", str(600 / DAY)]
    done = subprocess.run(minutes, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    return [] if done.returncode == 0 else (done.stdout or done.stderr).splitlines()


if __name__ == "__main__":
    status = {
        "containers": containers(),
        "units": units(),
        "certificates": certificates(),
        "disks": disks(sys.argv[1:]),
        "waiting": waiting(),
        "now": time.time(),
    }
    json.dump(status, sys.stdout)
