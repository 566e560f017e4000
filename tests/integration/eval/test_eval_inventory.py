"""Inventories as `gateway-eval` reads them, and as Ansible itself does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway_eval.inventory import Inventory

REPOSITORY = Path(__file__).parents[3]
NAMES = (
    "ansible_host",
    "ansible_connection",
    "gateway_first_port",
    "gateway_instances",
    "gateway_bind_address",
    "load_balancer_port",
    "load_balancer_bind_address",
)

# Every place in which Ansible takes a variable from an inventory, each saying something else.
TRICKY = {
    "hosts.yml": """
all:
  vars: {gateway_first_port: 1, gateway_instances: 1, load_balancer_port: 1}
  children:
    europe:
      children: {berlin: {}, paris: {}}
      vars: {gateway_first_port: 2, gateway_instances: 2}
    berlin:
      hosts: {gw-1: {}, gw-2: {gateway_first_port: 9}}
      vars: {gateway_first_port: 3}
    paris: {hosts: {gw-3: {ansible_host: 10.0.0.3}}}
""",
    "more.yaml": """
gateway:
  children: {europe: {}}
load_balancer:
  hosts: {gw-1: {}}
zebra:
  hosts: {gw-1: {gateway_bind_address: 10.0.0.9}}
  vars: {load_balancer_port: 4, gateway_instances: 7}
""",
    "group_vars/all.yml": "{load_balancer_port: 5, load_balancer_bind_address: 10.0.0.5}",  # the folder wins
    "group_vars/all/a.yml": "{load_balancer_port: 6}",
    "group_vars/all/deeper/b.yml": "{ansible_connection: ssh}",
    "group_vars/europe.yml": "{gateway_instances: 3}",
    "group_vars/paris": "{load_balancer_port: 11}",
    "group_vars/berlin/x.yml": "{load_balancer_port: 8}",
    "host_vars/gw-3.yml": "{gateway_instances: 4}",
    "host_vars/gw-2/main.yml": "{gateway_first_port: 10}",
}


def of_ansible(*inventories: Path) -> dict[str, dict[str, Any]]:
    """Return the variables of each host as Ansible tells them."""
    program = str(Path(sys.executable).with_name("ansible-inventory"))
    options = [option for path in inventories for option in ("-i", str(path))]
    told = subprocess.run([program, *options, "--list"], capture_output=True, check=True, timeout=120)
    hosts = json.loads(told.stdout)["_meta"]["hostvars"]
    return {host: {name: values[name] for name in NAMES if name in values} for host, values in hosts.items()}


def of_ours(*inventories: Path) -> dict[str, dict[str, Any]]:
    inventory = Inventory(inventories)
    hosts = inventory._members("all")
    variables = {host: inventory._variables(host) for host in hosts}
    return {
        host: {name: values[name] for name in NAMES if name in values} for host, values in variables.items()
    }


def test_variables_have_ansibles_precedence(tmp_path: Path) -> None:
    for name, text in TRICKY.items():
        path = tmp_path / "fleet" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    connection = tmp_path / "connection.yml"
    connection.write_text(
        "all: {hosts: {gw-1: {ansible_host: 172.30.99.2}, gw-2: {ansible_host: 172.30.99.3}}}"
    )
    assert of_ours(tmp_path / "fleet", connection) == of_ansible(tmp_path / "fleet", connection)


@pytest.mark.parametrize("name", ["all_in_one", "lab", "production.example"])
def test_shipped_inventories(name: str) -> None:
    path = REPOSITORY / "inventories" / name
    assert of_ours(path) == of_ansible(path)
