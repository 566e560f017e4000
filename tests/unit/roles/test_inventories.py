"""The inventories that come along: alike where they must be, and free of problems."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.roles import REPOSITORY

ANSIBLE_PLAYBOOK = shutil.which(
    "ansible-playbook", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
)
INVENTORIES = sorted(path.name for path in (REPOSITORY / "inventories").iterdir() if path.is_dir())


def test_the_wiring_is_the_same_everywhere() -> None:
    texts = {
        (REPOSITORY / "inventories" / name / "group_vars/all/wiring.yml").read_text() for name in INVENTORIES
    }
    assert len(texts) == 1


@pytest.mark.parametrize("name", INVENTORIES)
def test_an_inventory_passes_preflight_once_its_keys_are_there(name: str, tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "AZURE_OPENAI_API_KEY": "c"}
    (tmp_path / "vault.yml").write_text(yaml.safe_dump({"gateway_secrets": keys}))
    (tmp_path / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [
            {"ansible.builtin.import_role": {"name": "preflight"}}
        ]}])
    )  # fmt: skip
    assert ANSIBLE_PLAYBOOK
    # A copy with the addresses of test hosts, so that no playbook ever has an example's.
    inventory = tmp_path / "inventory"
    shutil.copytree(REPOSITORY / "inventories" / name, inventory)
    hosts = [f"gateway-{n}" for n in (1, 2, 3)] if name != "all_in_one" else ["gateway-1"]
    listing = yaml.safe_load((inventory / "hosts.yml").read_text())
    listing["gateway"]["hosts"] = {
        host: {"ansible_host": f"172.30.99.{10 + n}"} for n, host in enumerate(hosts, start=1)
    }
    (inventory / "hosts.yml").write_text(yaml.safe_dump(listing))
    done = subprocess.run(
        [ANSIBLE_PLAYBOOK, "-i", str(inventory), "-e", f"@{tmp_path}/vault.yml", str(tmp_path / "play.yml")],
        cwd=REPOSITORY / "ansible", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
