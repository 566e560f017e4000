"""Two load balancers with TLS, changed one after the other while calls go through both: nobody notices."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from support.certificates import certificate_for
from support.fleet import REPOSITORY, Fleet, wait_until
from support.steady_load import SteadyLoad, steady_load

pytestmark = pytest.mark.long

PLAY = ["--tags", "load_balancer"]
BALANCERS = ["gateway-1", "gateway-2"]
HOSTS = REPOSITORY / "tests/molecule/load_balancers/hosts.yml"
INVENTORIES = [
    REPOSITORY / path
    for path in (
        "inventories/lab",
        "demo/inventory",
        "tests/molecule/load_balancers/inventory",
        "build/load_balancers",
    )
]


class Through(Fleet):
    """The fleet as callers of one of its load balancers see it."""

    def __init__(self, balancer: str) -> None:
        super().__init__(*INVENTORIES)
        self.balancer = balancer

    @property
    def address(self) -> str:
        return str(self.variable(self.balancer, "ansible_host"))

    @property
    def base_url(self) -> str:
        return f"https://{self.address}:5000"

    @property
    def certificate(self) -> str:
        return ssl.get_server_certificate((self.address, 5000))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Through]]:
    """The fleet through each load balancer, trusted by their own authority; removed at the end."""
    fleet = Fleet(*INVENTORIES)
    hosts = ["ansible-playbook", "-i", "localhost,", "-e", f"@{HOSTS}"]
    fleet.run(*hosts, "playbooks/test_hosts_remove.yml")  # what an interrupted run left
    try:
        fleet.run(*hosts, "playbooks/test_hosts_create.yml")
        play = ["ansible-playbook", *fleet.inventory_arguments]
        fleet.run(*play, "playbooks/provider_emulator.yml")
        fleet.run(*play, "site.yml")
        trusted = tmp_path_factory.mktemp("trust") / "ca.pem"
        trusted.write_text(fleet.shell("gateway-2", "cat /etc/llm-gateway/load_balancer/ca.crt"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
            yield [Through(balancer) for balancer in BALANCERS]
    finally:
        fleet.run(*hosts, "playbooks/test_hosts_remove.yml")


def site(both: list[Through], **changes: object) -> str:
    """Run the play of the load balancers, and return what it printed."""
    return (
        both[0]
        .run("ansible-playbook", "site.yml", *both[0].inventory_arguments, *PLAY, "-e", json.dumps(changes))
        .stdout
    )


def served(both: list[Through]) -> int:
    """Calls that the provider counted: an independent witness."""
    stats = requests.get(f"http://{both[0].address}:5999/emulator/stats", timeout=30).json()
    return int(stats["received"])


def nobody_noticed(loads: list[SteadyLoad], doubled: int) -> None:
    for load in loads:
        assert not load.failures, load.failures[:20]
        assert load.calls > 50
        assert load.streams > 0
    assert doubled == 0


def test_a_second_run_changes_nothing(both: list[Through]) -> None:
    done = both[0].run("ansible-playbook", *both[0].inventory_arguments, "site.yml")
    assert "changed=0" in done.stdout
    assert done.stdout.count("changed=0") == done.stdout.count("changed=")


def test_each_has_a_certificate_of_its_own_from_one_authority(both: list[Through]) -> None:
    assert len({through.certificate for through in both}) == 2
    for through in both:
        assert requests.get(f"{through.base_url}/health", timeout=10).json() == {"status": "OK"}
    key = "/etc/llm-gateway/load_balancer/authority/ca.key"
    assert both[0].shell("gateway-1", f"stat -c %a:%U {key}").strip() == "600:root"
    assert both[0].shell("gateway-2", f"ls {key} 2>/dev/null || true") == ""


def test_a_renewal_on_both_costs_no_call(both: list[Through]) -> None:
    before, served_before = [through.certificate for through in both], served(both)
    started = [through.shell(through.balancer, "pgrep -xa nginx | sort") for through in both]

    with steady_load(both[0]) as first, steady_load(both[1]) as second:
        site(both, load_balancer_tls_renew_days=396, load_balancer_tls_certificate_days=397)
        site(both, load_balancer_tls_renew_days=398, load_balancer_tls_certificate_days=399)

    assert not {through.certificate for through in both} & set(before)
    # The very same processes: nothing was reloaded.
    assert [through.shell(through.balancer, "pgrep -xa nginx | sort") for through in both] == started
    calls = first.calls + second.calls
    nobody_noticed([first, second], served(both) - served_before - calls)


def test_a_changed_configuration_on_both_costs_no_call(both: list[Through]) -> None:
    served_before = served(both)

    with steady_load(both[0]) as first, steady_load(both[1]) as second:
        said = site(both, load_balancer_max_body_size="1k")

    assert said.index("[gateway-1]") < said.index("[gateway-2]")
    for through in both:
        refused = requests.post(f"{through.base_url}/v1/chat/completions", data=b"x" * 2000, timeout=10)
        assert refused.status_code == 413
    calls = first.calls + second.calls
    nobody_noticed([first, second], served(both) - served_before - calls)


def test_a_certificate_of_ones_own(both: list[Through], tmp_path: Path) -> None:
    certificate, key = certificate_for(tmp_path, both[0].address)
    given = {
        "load_balancer_tls_certificate": certificate.read_text(),
        "load_balancer_tls_certificate_key": key.read_text(),
    }
    (tmp_path / "other").mkdir()
    _, other_key = certificate_for(tmp_path / "other", both[0].address)
    before = [through.certificate for through in both]

    mixed = json.dumps(given | {"load_balancer_tls_certificate_key": other_key.read_text()})
    arguments = [*both[0].inventory_arguments, *PLAY, "-e", mixed]
    refused = both[0].run("ansible-playbook", "site.yml", *arguments, check=False)
    assert refused.returncode != 0
    assert "keeps the certificate that it has" in refused.stdout
    assert [through.certificate for through in both] == before

    site(both, **given)
    assert "".join(both[1].certificate.split()) == "".join(certificate.read_text().split())


def test_prometheus_sees_every_part_of_the_fleet(both: list[Through]) -> None:
    fleet = both[0]

    def up() -> dict[str, int]:
        query = "curl -s http://127.0.0.1:9090/api/v1/query?query=up"
        found = json.loads(fleet.shell("gateway-3", query))["data"]["result"]
        jobs = [sample["metric"]["job"] for sample in found if sample["value"][1] == "1"]
        return {job: jobs.count(job) for job in jobs}

    everything = {"gateway": 6, "host": 3, "nginx": 2, "load_balancer": 2, "log_store": 1}
    wait_until(lambda: up() == everything, 120, f"all of {everything}, not {up()}")
    told = fleet.shell("gateway-2", "curl -s http://127.0.0.1:9100/metrics | grep ^llm_gateway_")
    assert 'llm_gateway_fluent_bit_up{service="shipper"} 1' in told
    assert "llm_gateway_spool_unread_bytes " in told


def test_the_shared_address_moves_to_a_load_balancer_that_answers(both: list[Through]) -> None:
    shared = f"{both[0].address.rsplit('.', 1)[0]}.200"

    def holders() -> list[str]:
        look = f"ip -brief address show to {shared}"
        return [through.balancer for through in both if through.shell(through.balancer, look)]

    site(both, load_balancer_virtual_address=shared)
    wait_until(lambda: len(holders()) == 1, 60, "one load balancer has the address")
    [first] = holders()
    assert requests.get(f"https://{shared}:5000/health", timeout=10).ok  # the certificates carry it
    both[0].shell(first, "systemctl stop llm-gateway-load-balancer")
    try:
        [other] = set(BALANCERS) - {first}
        wait_until(lambda: holders() == [other], 60, "the other load balancer has the address")
        assert requests.get(f"https://{shared}:5000/health", timeout=10).ok
    finally:
        both[0].shell(first, "systemctl start llm-gateway-load-balancer")
    site(both)
    assert holders() == []
