"""What playbooks/check.yml shows, and what it calls trouble."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from support.roles import REPOSITORY

PLAYBOOKS = REPOSITORY / "ansible/playbooks"


def _report() -> Any:
    path = PLAYBOOKS / "filter_plugins/check_report.py"
    spec = importlib.util.spec_from_file_location("check_report", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FilterModule().filters()["check_report"]


def container(name: str, health: str | None = "healthy", status: str = "running") -> dict[str, Any]:
    return {
        "name": name,
        "image": "registry:5000/llm-gateway:0.1.0-abc",
        "status": status,
        "health": health,
        "restarts": 0,
        "since": "2026-11-23T16:00:00Z",
        "release": "0123456789ab",
    }


def host(**changes: Any) -> dict[str, Any]:
    """A host that is well, but for what is changed in its status (or, in capitals, around it)."""
    status = {
        "containers": [container("llm-gateway-1"), container("llm-gateway-log-shipper", None)],
        "units": {"llm-gateway-load-balancer.service": "active", "llm-gateway-compact.service": "inactive"},
        "certificates": {"log_shipper/ca.crt": 300.0},
        "disks": {"/": 40.0},
        "waiting": [],
        "now": 1000.5,
    }
    around = {name.lower(): value for name, value in changes.items() if name.isupper()}
    status |= {name: value for name, value in changes.items() if not name.isupper()}
    return {
        "status": status,
        "before": 1000,
        "after": 1002,
        "instances": 1,
        "drift": [],
        "health": 200,
    } | around


def report(**hosts: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = _report()(hosts, 90, 14, 5)
    return found


def test_a_fleet_that_is_well() -> None:
    found = report(b=host(), a=host())
    assert found["trouble"] == []
    assert [line.split()[0] for line in found["screen"] if line] == ["HOST", "a", "a", "b", "b", "a:", "b:"]
    first = found["screen"][1].split()
    assert first == ["a", "1", "healthy", "0.1.0-abc", "0123456789ab", "2026-11-23", "16:00:00Z", "0"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"containers": None}, "a: no Docker Engine answers"),
        ({"containers": [container("llm-gateway-1", "unhealthy")]}, "a: llm-gateway-1 is unhealthy"),
        ({"containers": [container("llm-gateway-1", None, "exited")]}, "a: llm-gateway-1 is exited"),
        ({"INSTANCES": 2}, "a: llm-gateway-2 is missing: run site.yml"),
        ({"units": {"llm-gateway-compact.service": "failed"}}, "a: llm-gateway-compact.service is failed"),
        ({"disks": {"/store": 90.5}}, "a: the disk of /store is 90.5 % full"),
        ({"certificates": {"x.crt": 13.5}}, "a: certificate x.crt ends in 13.5 days"),
        ({"certificates": {"x.crt": -1.0}}, "a: certificate x.crt has ended"),
        ({"waiting": ["requests/one.jsonl  12 bytes unread"]}, "a: 1 files of records wait"),
        ({"now": 1060.0}, "a: its clock is off by 57 s"),
        ({"now": 900.0}, "a: its clock is off by 100 s"),
        ({"HEALTH": 503}, "a: its load balancer answers /health with 503"),
        (
            {"DRIFT": ["llm-gateway-1 is not as the inventory asks"]},
            "a: llm-gateway-1 is not as the inventory asks",
        ),
        ({"STATUS": {}}, "a: does not answer"),
    ],
)
def test_trouble(changed: dict[str, Any], told: str) -> None:
    trouble = report(a=host(**changed), b=host())["trouble"]
    if changed == {"containers": None}:
        trouble.remove("a: llm-gateway-1 is missing: run site.yml")
    (line,) = trouble
    assert line.startswith(told)


def test_the_status_of_a_machine_without_the_service() -> None:
    """It says what it can where there is no engine, no unit and no certificate."""
    script = str(PLAYBOOKS / "check/host_status.py")
    done = subprocess.run(
        [sys.executable, "-I", script, "/", "/no/such/path"],
        env={"PATH": "/nonexistent", "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=True,
    )
    status = json.loads(done.stdout)
    assert status["containers"] is None
    assert list(status["disks"]) == ["/"]
