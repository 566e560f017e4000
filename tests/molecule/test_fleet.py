"""A fleet on real hosts: deployed, called, killed at, enlarged. The tests build on each other, in order."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from mlflow.deployments import get_deploy_client
from openai import OpenAI

from support.fleet import CUT, REPOSITORY, Fleet, molecule, wait_until

HOSTS = ["gateway-1", "gateway-2", "gateway-3"]
INSTANCES = {(host, f"llm-gateway-{number}") for host in HOSTS for number in (1, 2)}


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    assert fleet.hosts("gateway") == HOSTS

    molecule("idempotence")  # raises where a task changed something


def test_check_names_what_is_wrong_and_nothing_else(fleet: Fleet) -> None:
    fleet.shell("gateway-2", "docker stop llm-gateway-log-shipper")

    checked = fleet.run("ansible-playbook", *fleet.inventory_arguments, "playbooks/check.yml", check=False)

    fleet.shell("gateway-2", "docker start llm-gateway-log-shipper")
    assert checked.returncode == 2
    message = checked.stdout.rpartition("msg:")[2].partition("PLAY RECAP")[0]
    trouble = " ".join(message.split()).strip("' ")
    remedy = "docker logs llm-gateway-log-shipper"
    assert trouble == f"gateway-2: llm-gateway-log-shipper is exited: {remedy}"


def test_every_call_is_stored_once(fleet: Fleet) -> None:
    answers = fleet.calls(1000)

    assert Counter(answer.status for answer in answers) == {200: 1000}
    wanted = {answer.request_id for answer in answers}
    assert len(wanted) == 1000

    def stored() -> tuple[list[dict[str, object]], list[dict[str, object]]] | None:
        kinds = tuple(
            [r for r in fleet.records(kind) if r["request_id"] in wanted] for kind in ("requests", "access")
        )
        return kinds if all(len(kind) >= 1000 for kind in kinds) else None  # type: ignore[return-value]

    requests, access = wait_until(stored, 30, "1,000 request records and 1,000 access records in the store")
    assert len(requests) == len(access) == 1000
    assert {r["request_id"] for r in requests} == {r["request_id"] for r in access} == wanted
    assert {(r["host"], r["instance"]) for r in requests} == INSTANCES
    assert Counter(r["stream"] for r in requests) == {True: 500, False: 500}
    assert all(r["usage_source"] == "provider" for r in requests)


def test_the_store_answers_what_was_spent(fleet: Fleet) -> None:
    requests = fleet.records("requests")

    report = json.loads(fleet.shell("gateway-1", "gateway-analytics costs --by endpoint --format json"))

    assert report["totals"]["requests"] == len(requests) >= 1000
    assert report["totals"]["input_tokens"] == sum(r["input_tokens"] for r in requests)
    assert report["totals"]["unpriced_requests"] == 0
    assert float(report["totals"]["cost_usd"]) > 0


def test_the_official_clients_work(fleet: Fleet) -> None:
    question = [{"role": "user", "content": "What is AI?"}]
    client = OpenAI(base_url=f"{fleet.base_url}/v1", api_key="unused")

    answer = client.chat.completions.create(model="chat", messages=question)
    chunks = list(client.chat.completions.create(model="chat", messages=question, stream=True))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert "intelligence" in (answer.choices[0].message.content or "")
    assert "intelligence" in streamed
    assert len(client.embeddings.create(model="embeddings", input="one").data) == 1

    deployments = get_deploy_client(fleet.base_url)
    predicted = deployments.predict(endpoint="chat", inputs={"messages": question})
    assert "intelligence" in predicted["choices"][0]["message"]["content"]


@pytest.mark.parametrize("host", HOSTS)
def test_containers_are_confined(fleet: Fleet, host: str) -> None:
    for container in json.loads(fleet.shell(host, "docker inspect llm-gateway-1 llm-gateway-2")):
        settings = container["HostConfig"]
        assert container["Config"]["User"] == "10001:10001"
        assert settings["ReadonlyRootfs"] is True
        assert settings["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in settings["SecurityOpt"][0]
        assert settings["NanoCpus"] == 10**9
        assert settings["Memory"] == 2**30
        assert settings["RestartPolicy"]["Name"] == "unless-stopped"
        assert settings["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}


def test_the_spool_forgets_what_is_old_and_shipped(fleet: Fleet) -> None:
    spool = "/var/spool/llm-gateway/requests"
    kept = set(fleet.shell("gateway-2", f"ls {spool}").split())
    fleet.shell("gateway-2", f"touch --date='8 days ago' {spool}/requests-old.jsonl")

    fleet.shell("gateway-2", "systemctl start llm-gateway-spool-retention.service")

    assert kept
    assert set(fleet.shell("gateway-2", f"ls {spool}").split()) == kept
    wait_until(
        lambda: "nothing waits" in fleet.shell("gateway-2", "llm-gateway-spool || true"),
        60,
        "everything is shipped",
    )


def test_a_killed_gateway_comes_back(fleet: Fleet) -> None:
    fleet.shell("gateway-2", "kill -9 $(docker inspect -f '{{.State.Pid}}' llm-gateway-1)")
    with ThreadPoolExecutor(1) as pool:
        meanwhile = pool.submit(fleet.calls, 100, 4)

        def healthy() -> bool:
            state = fleet.shell(
                "gateway-2", "docker inspect -f '{{.State.Health.Status}} {{.RestartCount}}' llm-gateway-1"
            )
            return state.split() == ["healthy", "1"]

        wait_until(healthy, 60, "the killed gateway is healthy again")
    # A call that was sent to the dying gateway is not sent again, since it might be billed twice: it is 502,
    # or cut where its answer had begun.
    statuses = Counter(answer.status for answer in meanwhile.result())
    assert set(statuses) <= {200, 502, CUT}, statuses
    assert statuses[200] >= 96, statuses  # four callers at a time
    assert Counter(answer.status for answer in fleet.calls(50)) == {200: 50}


def test_adding_a_host(fleet: Fleet) -> None:
    before = {host: fleet.containers(host) for host in HOSTS}
    hosts = REPOSITORY / "tests/molecule/fleet/hosts.yml"
    directory = REPOSITORY / "build/molecule_fleet"
    overrides = ["-e", f"@{hosts}", "-e", f"test_hosts_directory={directory}", "-e", "test_hosts_count=4"]
    fleet.run("ansible-playbook", "-i", "localhost,", "playbooks/test_hosts_create.yml", *overrides)
    larger = Fleet(*fleet.inventories, REPOSITORY / "tests/molecule/fleet/fourth_host.yml")

    clean = larger.run("ansible-playbook", *larger.inventory_arguments, "site.yml", "--check")
    assert "gateway-4" in clean.stdout
    assert larger.shell("gateway-4", "docker ps -aq; ls -d /etc/llm-gateway 2>/dev/null || true") == ""

    larger.run("ansible-playbook", *larger.inventory_arguments, "site.yml")

    assert {host: larger.containers(host) for host in HOSTS} == before
    wanted = {answer.request_id for answer in larger.calls(200)}
    wait_until(
        lambda: (
            {
                record["instance"]
                for record in larger.records("requests")
                if record["host"] == "gateway-4" and record["request_id"] in wanted
            }
            == {"llm-gateway-1", "llm-gateway-2"}
        ),
        10,
        "records of calls that the fourth host served",
    )


def test_compaction_changes_no_answer_and_nothing_is_missing(fleet: Fleet) -> None:
    def answers() -> list[object]:
        wanted = ("requests --by host --by status", "costs --by model")
        known = [
            json.loads(fleet.shell("gateway-1", f"gateway-analytics {words} --format json"))
            for words in wanted
        ]
        return [(answer["rows"], answer["totals"]) for answer in known]

    before = answers()
    fleet.shell("gateway-1", "systemctl start llm-gateway-compact.service")

    assert fleet.shell("gateway-1", "find /var/lib/llm-gateway/store/requests -name '*.parquet'").strip()
    assert answers() == before
    fleet.shell("gateway-1", "gateway-analytics verify --check")  # exit code 1 where a record is lost
