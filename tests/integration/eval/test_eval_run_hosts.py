"""`gateway-eval run` on several hosts, and with several cases at once."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.evaluation import BROKEN, GOOD, gateway_eval, results, write_cases
from support.hostile_server import HostileServer, completion, hostile_server, http


@pytest.fixture
def other() -> Iterator[HostileServer]:
    with hostile_server() as server:
        yield server


def test_each_case_goes_to_every_host(host: HostileServer, other: HostileServer, tmp_path: Path) -> None:
    other.will(http(200, completion("Bob")))
    cases = write_cases(tmp_path, {"name": "a", "checks": {"equals": "Ada"}}, {"name": "b"})
    ended = gateway_eval(tmp_path, "run", host.url, "--host", other.url, "--cases", cases)
    assert ended.code == 1
    document = results(tmp_path)
    assert [(case["name"], case["base_url"], case["status"]) for case in document["cases"]] == [
        ("a", host.url, "passed"),
        ("a", other.url, "failed"),
        ("b", host.url, "passed"),
        ("b", other.url, "passed"),
    ]
    assert [entry["summary"]["passed"] for entry in document["hosts"]] == [2, 1]
    assert document["summary"]["requests"] == 4
    assert document["base_url"] == host.url
    for words in (host.url.removeprefix("http://"), "1 of 2", 'but found "Bob"'):
        assert words in ended.out


def test_a_dead_host_does_not_hide_the_others(host: HostileServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
    cases = write_cases(tmp_path, {"name": "a"})
    ended = gateway_eval(tmp_path, "run", dead, host.url, "--cases", cases)
    assert ended.code == 3
    assert ended.err.count("connection refused") == 1
    document = results(tmp_path)
    assert [case["status"] for case in document["cases"]] == ["errored", "passed"]
    assert document["hosts"][0]["error"]["class"] == "network"


def test_hosts_of_an_inventory(host: HostileServer, tmp_path: Path) -> None:
    port = host.url.rpartition(":")[2]
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "gateway: {hosts: {gw-1: {}}, vars: {ansible_connection: local, gateway_instances: 1}}\n"
        f"load_balancer: {{hosts: {{gw-1: {{load_balancer_port: {port}}}}}}}\n"
    )
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", "-i", str(inventory), "--cases", cases).code == 0
    assert [entry["name"] for entry in results(tmp_path)["hosts"]] == ["gw-1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "http://10.3.49.202:5000"),
        (["http://127.0.0.1:1", "-i", "."], "two sources"),
        (["http://127.0.0.1:1", "--group", "gateway"], "--inventory"),
        (["-i", "."], "no inventory in YAML"),
        (["--host", "gateway-1"], "http://"),
    ],
)
def test_hosts_that_cannot_be_told(tmp_path: Path, arguments: list[str], words: str) -> None:
    ended = gateway_eval(tmp_path, "run", *arguments)
    assert ended.code == 2
    assert words in ended.err


def test_cases_run_at_once_and_results_keep_their_order(host: HostileServer, tmp_path: Path) -> None:
    """Each of the four calls is answered only once all four are there."""
    gate = threading.Barrier(4)

    def together(connection: socket.socket, _server: HostileServer) -> None:
        gate.wait(30)
        connection.sendall(GOOD)

    host.will(together)
    cases = write_cases(tmp_path, *({"name": str(n)} for n in range(4)))
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "-j", "4")
    assert ended.code == 0, ended.err
    assert [case["name"] for case in results(tmp_path)["cases"]] == ["0", "1", "2", "3"]


def test_fail_fast_begins_no_further_case_on_any_host(
    host: HostileServer, other: HostileServer, tmp_path: Path
) -> None:
    host.will(BROKEN)
    cases = write_cases(tmp_path, *({"name": str(n)} for n in range(5)))
    gateway_eval(tmp_path, "run", host.url, other.url, "--cases", cases, "--fail-fast")
    assert (len(host.calls), len(other.calls)) == (1, 0)
    assert results(tmp_path)["summary"]["not_run"] == 9


def test_tags_choose_cases(host: HostileServer, tmp_path: Path) -> None:
    tagged = [{"name": "a", "tags": ["x"]}, {"name": "b", "tags": ["x", "y"]}, {"name": "c"}]
    cases = write_cases(tmp_path, *tagged)
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--tag", "y", "--tag", "z").code == 0
    assert [case["name"] for case in results(tmp_path)["cases"]] == ["b"]
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--tag", "z")
    assert ended.code == 2
    assert "x, y" in ended.err


def test_dry_run_calls_no_model_and_leaves_nothing(host: HostileServer, tmp_path: Path) -> None:
    bounded = {"name": "a", "input": "x" * 400, "parameters": {"max_tokens": 1000}}
    cases = write_cases(tmp_path, bounded, {"name": "b"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--dry-run", "--json", "--repeat", "2")
    assert ended.code == 0, ended.err
    assert not host.calls
    assert [path.name for path in tmp_path.iterdir()] == ["cases.json"]
    first, second = ended.json()["rows"]
    # Of gpt-4o-mini: 104 tokens in at 0.15 and 1,000 out at 0.60 per million.
    assert (first["cost_usd_at_least"], first["cost_usd_at_most"]) == ("0.0000156", "0.0006156")
    assert second["cost_usd_at_most"] is None
    assert ended.json()["totals"]["requests"] == 4
    table = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--dry-run")
    assert "which no max_tokens bounds" in table.out


def test_dry_run_of_a_host_that_is_not_there_is_exit_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert gateway_eval(tmp_path, "run", url, "--dry-run").code == 3


def test_requests_to_any_path(host: HostileServer, tmp_path: Path) -> None:
    host.gets["/v1/models"] = http(200, {"data": [{"id": "m"}]}, X_Request_ID="r")
    refused = http(400, {"error": {"message": "not JSON"}})
    host.will(refused, refused, http(200, completion()))
    cases = write_cases(
        tmp_path,
        {
            "name": "list",
            "request": {"path": "/v1/models"},
            "checks": {
                "status": 200,
                "is_json": {"type": "object", "required": ["data"]},
                "header": {"x-request-id": True},
            },
        },
        {
            "name": "not JSON",
            "request": {"path": "{chat_path}", "text": '{"messages": ['},
            "checks": {"status": 400},
        },
        {
            "name": "expected",
            "request": {"path": "/v1/x", "method": "POST"},
            "expect_error": "invalid_request",
        },
        {
            "name": "called",
            "request": {
                "path": "/v1/chat/completions",
                "body": {"model": "{endpoint}", "messages": [{"role": "user", "content": "{endpoint}?"}]},
            },
            "checks": {"icontains": "ada", "tokens": {"output": 5}, "usage_present": True},
        },
        {"name": "missing", "request": {"path": "/no/such/path"}},
    )
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases)
    document = results(tmp_path)
    assert [case["status"] for case in document["cases"]] == ["passed"] * 4 + ["errored"], ended.err
    assert ended.code == 1
    assert host.calls[2].body["messages"][0]["content"] == "chat?"
    listed, _, _, called, _ = document["cases"]
    # What asks no model is no call to a model: it costs nothing and is not counted.
    assert (len(listed["turns"]), len(listed["other_calls"])) == (0, 1)
    assert called["turns"][0]["cost_usd"] == "0.0000045"
    assert document["summary"]["requests"] == 2
    assert document["summary"]["unpriced_requests"] == 0


def test_request_with_another_key(host: HostileServer, tmp_path: Path) -> None:
    kinds = ("given", "none", "wrong")
    cases = write_cases(
        tmp_path, *({"name": kind, "request": {"path": "/health", "api_key": kind}} for kind in kinds)
    )
    key = "sk-right-key-0001"
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--api-key-env", "K", K=key).code == 0
    given, none, wrong = (
        request.headers.get("authorization") for request in host.requests if request.path == "/health"
    )
    assert given == f"Bearer {key}"
    assert none is None
    assert wrong not in (None, given)


def test_case_that_needs_a_key_is_left_out_without_one(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b", "needs_api_key": True})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases)
    assert ended.code == 0
    assert "left out: b" in ended.err
    assert [case["name"] for case in results(tmp_path)["cases"]] == ["a"]


def test_files_by_suffix(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    files = ["-o", "all.json", "-o", "junit.xml", "-o", "page.html"]
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, *files).code == 0
    assert json.loads((tmp_path / "all.json").read_text())["summary"]["passed"] == 1
    assert "<testsuites " in (tmp_path / "junit.xml").read_text()
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert not (tmp_path / "gateway_results.json").exists()
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "-o", "page.pdf")
    assert ended.code == 2
    assert ".html" in ended.err


@pytest.mark.parametrize("command", [["check"], ["run"], ["ask", "Hi"]], ids=lambda command: command[0])
def test_headers_go_with_every_call(host: HostileServer, tmp_path: Path, command: list[str]) -> None:
    name, *arguments = command
    gateway_eval(tmp_path, name, host.url, *arguments, "--header", "x-tenant: research", "--header", "X-B:2")
    assert host.requests
    assert {(got.headers.get("x-tenant"), got.headers.get("x-b")) for got in host.requests} == {
        ("research", "2")
    }


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("x-tenant", "x-tenant: research"),
        ("x y: z", "no header"),
        ("x: a\nb", "no header"),
        ("Authorization: Bearer sk-secret-0001", "--api-key-env"),
    ],
)
def test_header_that_is_none(host: HostileServer, tmp_path: Path, header: str, words: str) -> None:
    ended = gateway_eval(tmp_path, "check", host.url, "--header", header)
    assert ended.code == 2
    assert words in ended.err
    assert "sk-secret" not in ended.err
    assert not host.requests
