"""The evaluation through the project's own load balancer, with two gateways behind it."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.emulator import running_emulator
from support.evaluation import gateway_eval, results
from support.gateway import Gateway, openai_endpoint, running_gateway, wait_until
from support.load_balancer import NGINX, LoadBalancer, load_balancer

pytestmark = pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")


@pytest.fixture(scope="module")
def gateways() -> Iterator[list[Gateway]]:
    with running_emulator() as emulator:
        config = {"endpoints": [openai_endpoint("chat", emulator.openai_url, model="gpt-4o-mini")]}
        with running_gateway(config) as first, running_gateway(config) as second:
            yield [first, second]


@pytest.fixture(scope="module")
def fleet(gateways: list[Gateway], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadBalancer]:
    members = [f"127.0.0.1:{gateway.port}" for gateway in gateways]
    with load_balancer(tmp_path_factory.mktemp("load_balancer"), *members) as running:
        yield running


@pytest.mark.parametrize("suite", ["smoke", "full", "streaming", "errors"])
def test_suites_pass_and_every_call_is_found_in_both_logs(
    fleet: LoadBalancer, gateways: list[Gateway], tmp_path: Path, suite: str
) -> None:
    ended = gateway_eval(tmp_path, "run", fleet.url, "--suite", suite, "-j", "4")
    assert ended.code == 0, ended.out
    turns = [turn for case in results(tmp_path)["cases"] for turn in case["turns"]]
    made = Counter(turn["request_id"] for turn in turns)
    assert max(made.values()) == 1, "each call has an id of its own"

    def found_in(logged: Counter[str]) -> bool:
        return all(logged[request_id] == 1 for request_id in made)

    wait_until(lambda: found_in(access_ids(fleet)), "each call in the load balancer's log, once", 30)
    called = {turn["request_id"] for turn in turns if turn["http_status"] == 200}
    wait_until(lambda: called <= set(record_ids(gateways)), "each call in the gateways' logs", 30)
    assert max(record_ids(gateways).values()) == 1


def access_ids(fleet: LoadBalancer) -> Counter[str]:
    return Counter(json.loads(line)["request_id"] for line in fleet.lines())


def record_ids(gateways: list[Gateway]) -> Counter[str]:
    return Counter(record["request_id"] for gateway in gateways for record in gateway.records())


def test_check_of_the_fleet_from_its_inventory(
    fleet: LoadBalancer, gateways: list[Gateway], tmp_path: Path
) -> None:
    ports = [gateway.port for gateway in gateways]
    hosts = {f"gw-{number}": port for number, port in enumerate(ports, 1)}
    lines = "".join(f"    {name}: {{gateway_first_port: {port}}}\n" for name, port in hosts.items())
    (tmp_path / "hosts.yml").write_text(
        "all: {vars: {ansible_connection: local, gateway_instances: 1}}\n"
        f"gateway:\n  hosts:\n{lines}"
        f"load_balancer: {{hosts: {{gw-1: {{load_balancer_port: {fleet.port}}}}}}}\n"
    )
    ended = gateway_eval(tmp_path, "check", "-i", "hosts.yml", "--json", "--timeout", "30")
    assert ended.code == 0, ended.err
    document = ended.json()
    assert [(row["name"], row["role"], row["status"]) for row in document["rows"]] == [
        ("gw-1", "load_balancer", "ok"),
        ("gw-1/1", "gateway", "ok"),
        ("gw-2/1", "gateway", "ok"),
    ]
    assert document["warnings"] == []
