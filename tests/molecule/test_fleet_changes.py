"""Changes to a fleet that is being called: nobody notices. Runs after test_fleet.py, on the same hosts."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import requests

from support.fleet import STORE, Fleet, wait_until
from support.steady_load import KEY, SteadyLoad, steady_load

HOSTS = ["gateway-1", "gateway-2", "gateway-3"]
CHANGED = {"gateway_environment": {"MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS": "299"}}
INSTANCES = ["llm-gateway-1", "llm-gateway-2"]


def keys(*known: str) -> dict[str, object]:
    """Variables that let in who has one of these keys; the first is that of the cases that judge a change."""
    entries = [
        {"id": f"key-{number}", "sha256": hashlib.sha256(key.encode()).hexdigest(), "owner": "tests"}
        for number, key in enumerate(known)
    ]
    return {"gateway_api_keys": entries, "gateway_canary_api_key": known[0]}


def chat_by(fleet: Fleet, model: str, path: str = "/v1") -> dict[str, object]:
    """Variables that let another model, or another address of the provider, serve the endpoint chat."""
    provider = f"http://{fleet.variable('gateway-1', 'ansible_host')}:5999"
    config = {"openai_api_key": "$OPENAI_API_KEY", "openai_api_base": provider + path}
    served_by = {"provider": "openai", "name": model, "config": config}
    chat = {"name": "chat", "endpoint_type": "llm/v1/chat", "model": served_by}
    return CHANGED | keys(KEY) | {"gateway_endpoints": [chat]}


def judged(fleet: Fleet) -> list[dict[str, Any]]:
    """What came of the cases that judged the last change: of what served, and of the candidate."""
    files = (f"/var/lib/llm-gateway/canary/llm-gateway-{name}.json" for name in ("1", "candidate"))
    return [json.loads(fleet.shell("gateway-1", f"cat {file}")) for file in files]


def served(fleet: Fleet) -> int:
    """Calls that the emulator counted: an independent witness."""
    address = fleet.variable("gateway-1", "ansible_host")
    stats = requests.get(f"http://{address}:5999/emulator/stats", timeout=30).json()
    return int(stats["received"])


def site(fleet: Fleet, *arguments: str, check: bool = True) -> str:
    done = fleet.run(
        "ansible-playbook",
        *fleet.inventory_arguments,
        "site.yml",
        "--tags",
        "gateway",
        *arguments,
        check=check,
    )
    assert check or done.returncode != 0
    return done.stdout


def instances(fleet: Fleet, host: str) -> dict[str, tuple[str, str]]:
    return {name: found for name, found in fleet.containers(host).items() if name in INSTANCES}


def asked(fleet: Fleet, key: str | None) -> set[int]:
    """Statuses with which the gateways of these hosts answer, each asked past the load balancer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    urls = [
        f"http://{fleet.variable(host, 'ansible_host')}:{port}/gateway/chat/invocations"
        for host in HOSTS
        for port in (5101, 5102)
    ]
    body = {"messages": [{"role": "user", "content": "What is AI?"}]}
    return {requests.post(url, json=body, headers=headers, timeout=60).status_code for url in urls}


def environment(fleet: Fleet, host: str) -> dict[str, str]:
    [container] = json.loads(fleet.shell(host, "docker inspect llm-gateway-1"))
    return dict(item.split("=", 1) for item in container["Config"]["Env"])


def nobody_noticed(fleet: Fleet, load: SteadyLoad, served_before: int, calls_to_judge: int = 0) -> None:
    assert not load.failures, load.failures[:20]
    assert load.calls > 50
    assert load.streams > 5
    # The provider got each call once.
    assert served(fleet) - served_before == load.calls + calls_to_judge


def test_every_container_is_replaced_and_no_call_fails(fleet: Fleet) -> None:
    before, served_before = {host: instances(fleet, host) for host in HOSTS}, served(fleet)

    with steady_load(fleet) as load:
        site(fleet, "-e", json.dumps(CHANGED | keys(KEY)))

    outcomes = [result["summary"] for result in judged(fleet)]
    assert [(outcome["passed"], outcome["requests"]) for outcome in outcomes] == [(12, 12), (12, 12)]
    nobody_noticed(fleet, load, served_before, calls_to_judge=24)
    for host in HOSTS:
        after = instances(fleet, host)
        assert after.keys() == before[host].keys() == set(INSTANCES)
        assert all(after[name][0] != before[host][name][0] for name in INSTANCES)
        assert environment(fleet, host)["MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS"] == "299"
    assert asked(fleet, None) == {401}  # from now on callers need a key
    assert asked(fleet, KEY) == {200}


def cpus(fleet: Fleet, host: str) -> float:
    return int(fleet.shell(host, "docker inspect -f '{{.HostConfig.NanoCpus}}' llm-gateway-1")) / 1e9


def test_a_new_key_and_other_limits_are_live_at_once_and_touch_no_container(fleet: Fleet) -> None:
    before = {host: instances(fleet, host) for host in HOSTS}

    site(fleet, "-e", json.dumps(CHANGED | keys(KEY, "a-second-key") | {"gateway_cpus": 0.9}))

    wait_until(lambda: asked(fleet, "a-second-key") == {200}, 5, "the key opens")
    assert asked(fleet, None) == {401}
    assert {host: instances(fleet, host) for host in HOSTS} == before
    assert cpus(fleet, "gateway-2") == 0.9


def test_a_rollback_brings_an_earlier_release_back(fleet: Fleet) -> None:
    served_before = served(fleet)
    kept = fleet.shell("gateway-2", "cat /etc/llm-gateway/gateway_releases/*.json").splitlines()
    first, *later = sorted(map(json.loads, kept), key=lambda release: str(release["since"]))
    assert len(later) == 2

    with steady_load(fleet) as load:
        playbook(fleet, "rollback", "--limit", "gateway-2", "-e", f"release={first['name']}")

    nobody_noticed(fleet, load, served_before)
    assert "MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS" not in environment(fleet, "gateway-2")
    assert cpus(fleet, "gateway-2") == 1
    assert environment(fleet, "gateway-3")["MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS"] == "299"


@pytest.mark.parametrize(
    ("model", "path", "told"),
    [
        ("gpt-4", "/v1", "regression: all cases: cost"),
        pytest.param("gpt-4o", "/nowhere/v1", "simple-question: pass rate", marks=pytest.mark.long),
    ],
)
def test_a_change_that_does_worse_is_refused_before_a_caller_meets_it(
    fleet: Fleet, model: str, path: str, told: str
) -> None:
    before, served_before = {host: instances(fleet, host) for host in HOSTS}, served(fleet)

    with steady_load(fleet) as load:
        said = site(fleet, "-e", json.dumps(chat_by(fleet, model, path)), check=False)

    assert "The change was not made, every gateway serves as before." in said
    assert told in said
    assert KEY not in said
    nobody_noticed(fleet, load, served_before, sum(result["summary"]["requests"] for result in judged(fleet)))
    assert {host: instances(fleet, host) for host in HOSTS} == before
    assert "candidate" not in fleet.shell("gateway-1", "docker ps --all --format '{{.Names}}'")


def test_a_change_that_does_not_serve_stops_at_the_first_host_and_is_taken_back(fleet: Fleet) -> None:
    before, served_before = {host: instances(fleet, host) for host in HOSTS}, served(fleet)

    with steady_load(fleet) as load:
        # A setting that the gateway refuses, so that its container starts again and again.
        broken = {"gateway_environment": {"GATEWAY_KEEP_ALIVE": "for ever"}, "gateway_start_timeout": 30}
        # Without a candidate, which would have told before.
        said = site(fleet, "-e", json.dumps(broken | {"gateway_canary": False}), check=False)

    nobody_noticed(fleet, load, served_before)
    assert "llm-gateway-1 serves as before, the change was taken back" in said
    assert "GATEWAY_KEEP_ALIVE" in said  # the new container's own words
    after = {host: instances(fleet, host) for host in HOSTS}
    assert {host: {name: found[0] for name, found in after[host].items()} for host in HOSTS} == {
        host: {name: found[0] for name, found in before[host].items()} for host in HOSTS
    }
    assert after["gateway-2"] == before["gateway-2"]
    assert after["gateway-3"] == before["gateway-3"]


def test_a_host_leaves_and_none_of_its_records_is_missing(fleet: Fleet) -> None:
    served_before = served(fleet)

    with steady_load(fleet) as load:
        playbook = ["playbooks/remove_host.yml", "-e", "target=gateway-3"]
        fleet.run("ansible-playbook", *fleet.inventory_arguments, *playbook)

    nobody_noticed(fleet, load, served_before)
    assert fleet.containers("gateway-3") == {}


def playbook(fleet: Fleet, name: str, *arguments: str, check: bool = True) -> str:
    command = ["ansible-playbook", *fleet.inventory_arguments, f"playbooks/{name}.yml", *arguments]
    return fleet.run(*command, check=check).stdout


@pytest.mark.long
def test_a_backup_brings_every_call_back(fleet: Fleet) -> None:
    def held() -> int:
        found = json.loads(fleet.shell("gateway-1", "gateway-analytics requests --format json"))
        return int(found["totals"]["requests"])

    fleet.shell("gateway-1", "systemctl start llm-gateway-compact.service")
    before = held()
    playbook(fleet, "backup", "-e", "backup_path=/var/backups/test")
    [file] = fleet.shell("gateway-1", "ls /var/backups/test/*.tar").split()

    refused = playbook(fleet, "restore", "-e", f"restore_file={file}", check=False)
    assert "holds compacted records already" in refused

    fleet.shell("gateway-1", f"rm -r {STORE}/requests/*")
    assert held() < before
    playbook(fleet, "restore", "-e", f"restore_file={file}", "-e", "restore_replace=yes")
    assert held() >= before


def test_a_load_balancer_does_not_leave(fleet: Fleet) -> None:
    playbook = ["playbooks/remove_host.yml", "-e", "target=gateway-1"]
    refused = fleet.run("ansible-playbook", *fleet.inventory_arguments, *playbook, check=False)

    assert refused.returncode == 2
    assert "gateway-1 is also load balancer or log store" in refused.stdout + refused.stderr
    assert instances(fleet, "gateway-1").keys() == set(INSTANCES)


def test_uninstalling_leaves_nothing_but_the_records(fleet: Fleet) -> None:
    records = fleet.shell("gateway-3", "find /var/spool/llm-gateway -name '*.jsonl' | sort")
    playbook = ["playbooks/uninstall.yml", "--limit", "gateway-3"]
    fleet.run("ansible-playbook", *fleet.inventory_arguments, *playbook, "-e", "uninstall=yes")

    left = (
        "docker ps -aq; docker images -q; ls -d /etc/llm-gateway /usr/local/sbin/llm-gateway*"
        " /var/lib/systemd/timers/*llm-gateway* 2>/dev/null"
    )
    assert fleet.shell("gateway-3", f"{left}; ls /etc/systemd/system | grep llm-gateway || true") == ""
    assert fleet.shell("gateway-3", "find /var/spool/llm-gateway -name '*.jsonl' | sort") == records != ""

    fleet.run(
        "ansible-playbook",
        *fleet.inventory_arguments,
        "playbooks/uninstall.yml",
        *["--limit", "gateway-3", "-e", "uninstall=yes", "-e", "uninstall_data=yes"],
    )
    assert (
        fleet.shell("gateway-3", "ls -d /var/lib/llm-gateway /var/spool/llm-gateway; id llm-gateway", False)
        == ""
    )
