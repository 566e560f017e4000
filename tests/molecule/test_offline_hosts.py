"""Two hosts of Debian 12 that reach only each other and the machine that deploys: images come in one file."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.fleet import REPOSITORY, Fleet, wait_until

pytestmark = pytest.mark.long

OFFLINE = REPOSITORY / "tests/molecule/offline"
# What has to come from a mirror, or be there: docs/operations.md.
PACKAGES = "nginx openssl python3-cryptography"


def inventory(directory: Path, needed: list[str]) -> Path:
    """An inventory with the lines that playbooks/fetch_images.yml asks for, where it wants them."""
    shutil.copytree(REPOSITORY / "inventories/lab", directory)
    shutil.copy(OFFLINE / "inventory.yml", directory / "hosts.yml")
    *lines, fluent_bit = (line.partition(" #")[0].rstrip() for line in needed)
    variables = directory / "group_vars/all"
    with (variables / "main.yml").open("a") as main:
        main.write("\n".join(["", *lines, ""]))
    wiring = (variables / "wiring.yml").read_text()
    replaced = re.sub("^fleet_fluent_bit: .*", fluent_bit, wiring, flags=re.MULTILINE)
    assert replaced != wiring
    (variables / "wiring.yml").write_text(replaced)
    return directory


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The fleet, deployed as that page says; removed at the end."""
    directory = tmp_path_factory.mktemp("offline")
    fleet = Fleet(directory / "site", REPOSITORY / "demo/inventory", REPOSITORY / "build/offline")
    local = ["ansible-playbook", "-i", "localhost,"]
    file = directory / "fleet.tar.gz"
    said = fleet.run(*local, "playbooks/fetch_images.yml", "-e", f"fetch_images_file={file}").stdout
    told = yaml.safe_load(said.rpartition("ok: [localhost] => ")[2].partition("PLAY RECAP")[0])
    inventory(directory / "site", told["msg"])
    hosts = [*local, "-e", f"@{OFFLINE / 'hosts.yml'}"]
    fleet.run(*hosts, "playbooks/test_hosts_remove.yml")  # what an interrupted run left
    try:
        fleet.run(*hosts, "playbooks/test_hosts_create.yml")
        for host in fleet.hosts("gateway"):
            fleet.shell(
                host,
                f"set -e; DEBIAN_FRONTEND=noninteractive apt-get install -qqy {PACKAGES} >/dev/null;"
                # From now on there is no way out, and there are no package lists.
                " ip route del default; rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin",
            )
        play = ["ansible-playbook", *fleet.inventory_arguments]
        fleet.run(*play, "playbooks/provider_emulator.yml")
        fleet.run(*play, "site.yml")
        yield fleet
    finally:
        fleet.run(*hosts, "playbooks/test_hosts_remove.yml")


def test_a_second_run_changes_nothing(offline: Fleet) -> None:
    said = offline.run("ansible-playbook", *offline.inventory_arguments, "site.yml").stdout

    assert said.count(" changed=0 ") == said.count(" changed=") > 0


def test_they_serve_and_store_every_call(offline: Fleet) -> None:
    for host in offline.hosts("gateway"):
        assert "VERSION_CODENAME=bookworm" in offline.shell(host, "cat /etc/os-release")
        assert "unreachable" in offline.shell(host, "ip route get 192.0.2.1 2>&1 || true")

    answers = offline.calls(100)

    assert Counter(answer.status for answer in answers) == {200: 100}
    wanted = {answer.request_id for answer in answers}
    wait_until(
        lambda: wanted <= {record["request_id"] for record in offline.records("requests")},
        60,
        "all of the calls' records in the store",
    )
    served_by = {r["host"] for r in offline.records("requests") if r["request_id"] in wanted}
    assert served_by == {"gateway-1", "gateway-2"}
