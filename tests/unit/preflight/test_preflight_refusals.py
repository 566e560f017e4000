"""Bad inventories stop `site.yml` with every problem named, and no host contacted."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.roles import REPOSITORY

ANSIBLE_PLAYBOOK = shutil.which(
    "ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
)
CHAT = {
    "name": "chat",
    "endpoint_type": "llm/v1/chat",
    "model": {"provider": "openai", "name": "gpt-4o", "config": {"openai_api_key": "$OPENAI_API_KEY"}},
}
GOOD: dict[str, Any] = {
    "all": {
        "hosts": {"gateway-1": {"ansible_host": "127.0.0.1"}, "gateway-2": {"ansible_host": "127.0.0.2"}},
        "vars": {
            "gateway_endpoints": [CHAT],
            "gateway_secrets": {"OPENAI_API_KEY": "sk-planted-canary"},
            "load_balancer_members": ["127.0.0.1:5101", "127.0.0.2:5101"],
        },
        "children": {
            "gateway": {"hosts": {"gateway-1": {}, "gateway-2": {}}},
            "load_balancer": {"hosts": {"gateway-1": {}}},
            "log_store": {"hosts": {"gateway-1": {}}},
        },
    }
}


@dataclass
class Run:
    """What a run of site.yml came to."""

    exit_code: int
    output: str
    contacted: bool


def run_site(directory: Path, inventory: dict[str, Any]) -> Run:
    """Run site.yml on hosts that are reached by a program that only notes that it was called."""
    calls = directory / "calls"
    ssh = directory / "ssh"
    ssh.write_text(f"#!/bin/sh\necho called >> {calls}\nexit 255\n")
    ssh.chmod(0o755)
    inventory = copy.deepcopy(inventory)
    inventory["all"]["vars"] |= {
        "ansible_connection": "ssh",
        "ansible_ssh_executable": str(ssh),
        "ansible_ssh_retries": 0,
    }
    path = directory / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    assert ANSIBLE_PLAYBOOK
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", str(path), "site.yml"],
        cwd=REPOSITORY / "ansible", capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCAL_TEMP": str(directory / "tmp")},
    )  # fmt: skip
    return Run(done.returncode, done.stdout + done.stderr, calls.exists())


def changed(**changes: Any) -> dict[str, Any]:
    """The good inventory with some groups' hosts (a list) or some variables changed."""
    inventory = copy.deepcopy(GOOD)
    for name, value in changes.items():
        if name in inventory["all"]["children"]:
            inventory["all"]["children"][name] = {"hosts": {host: {} for host in value}}
        else:
            inventory["all"]["vars"][name] = value
    return inventory


def test_a_good_inventory_goes_on_to_the_hosts(tmp_path: Path) -> None:
    run = run_site(tmp_path, GOOD)
    assert "The inventory cannot be deployed" not in run.output
    assert run.contacted


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no load balancer": (
        changed(load_balancer=[]),
        "group load_balancer (inventory): has no host.",
        "Add at least one host that shall run nginx",
    ),
    "no gateway": (changed(gateway=[]), "group gateway (inventory): has no host.", "Add at least one host"),
    "a log store of two": (
        changed(log_store=["gateway-1", "gateway-2"]),
        "group log_store (inventory): has 2 hosts (gateway-1, gateway-2).",
        "Name exactly one host",
    ),
    "a route to an unknown endpoint": (
        changed(
            gateway_routes=[
                {
                    "name": "split",
                    "task_type": "llm/v1/chat",
                    "destinations": [{"name": "chta", "traffic_percentage": 100}],
                }
            ]
        ),
        "gateway_routes (group gateway): route 'split' leads to 'chta', which is no endpoint.",
        "Use one of chat, or add 'chta' to gateway_endpoints.",
    ),
    "a blank secret": (
        changed(gateway_secrets={"OPENAI_API_KEY": "{{ lookup('env', 'A_VARIABLE_THAT_NOBODY_SETS') }}"}),
        "gateway_secrets (group gateway): OPENAI_API_KEY is blank.",
        "Set it in the inventory's vault",
    ),
    "the same port twice": (
        changed(gateway_first_port=4999, gateway_instances=2),
        "gateway_first_port (gateway-1): port 5000 is taken twice: gateway_first_port + 1,",
        "Change one of them.",
    ),
    "limits that are no numbers": (
        changed(gateway_cpus="many", gateway_memory="lots"),
        "gateway_cpus (group gateway): is 'many'.",
        "gateway_memory (group gateway): is 'lots'. Use an amount of memory, such as 512m or 2g.",
    ),
    "duplicate endpoint names": (
        changed(gateway_endpoints=[CHAT, CHAT]),
        "gateway_endpoints (group gateway): 2 endpoints have the name 'chat'.",
        "Give each a name of its own.",
    ),
    "a variable that refers to nothing": (
        changed(gateway_secrets={"OPENAI_API_KEY": "{{ vault_openai_api_key }}"}),
        "gateway_secrets (group gateway): cannot be evaluated: 'vault_openai_api_key' is undefined.",
        "Define what it refers to",
    ),
    "everything at once": (
        changed(load_balancer=[], gateway_workers=0, container_image_source="magic"),
        "gateway_workers (group gateway): is 0.",
        "container_image_source (group gateway): is 'magic'. Use one of build, archive, control, pull.",
    ),
}


@pytest.mark.parametrize(("inventory", "problem", "remedy"), BAD.values(), ids=BAD)
def test_a_bad_inventory_is_refused(
    tmp_path: Path, inventory: dict[str, Any], problem: str, remedy: str
) -> None:
    run = run_site(tmp_path, inventory)
    assert problem in run.output
    assert remedy in run.output
    assert run.exit_code == 2
    assert not run.contacted
    assert "sk-planted-canary" not in run.output
