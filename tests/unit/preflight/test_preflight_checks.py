"""The single checks of preflight: what they find, what they leave alone, and what they never say."""

from __future__ import annotations

import copy
import importlib.util
from types import ModuleType
from typing import Any

import pytest
import yaml

from support.roles import ROLES


def plugin(name: str) -> ModuleType:
    path = ROLES / "preflight" / "filter_plugins" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FLEET = plugin("fleet_problems")
CONFIG = plugin("gateway_config_problems")
KEYS = plugin("gateway_key_problems")


def endpoint(name: str = "chat", kind: str = "llm/v1/chat", **config: Any) -> dict[str, Any]:
    return {
        "name": name,
        "endpoint_type": kind,
        "model": {
            "provider": "openai",
            "name": "gpt-4o",
            "config": config or {"openai_api_key": "$OPENAI_API_KEY"},
        },
    }


GATEWAY: dict[str, Any] = {
    "gateway_endpoints": [endpoint()],
    "gateway_routes": [],
    "gateway_secrets": {"OPENAI_API_KEY": "sk-secret"},
    "gateway_instances": 1,
    "gateway_first_port": 5101,
    "gateway_cpus": 2,
    "gateway_memory": "1g",
    "gateway_bind_address": "0.0.0.0",
    "gateway_graceful_timeout": 310,
    "load_balancer_port": 5000,
    "load_balancer_read_timeout": 300,
    "load_balancer_members": ["10.0.0.1:5101", "10.0.0.2:5101"],
}


def lines(
    hosts: dict[str, dict[str, Any]] | None = None, groups: dict[str, list[str]] | None = None, **changes: Any
) -> list[str]:
    """What preflight says of two gateway hosts, the first of them load balancer and log store."""
    variables = {
        "gateway-1": {**copy.deepcopy(GATEWAY), "gateway_address": "10.0.0.1", **changes},
        "gateway-2": {**copy.deepcopy(GATEWAY), "gateway_address": "10.0.0.2", **changes},
    }
    for host, own in (hosts or {}).items():
        variables[host] |= own
    fleet = {
        "groups": groups
        or {
            "gateway": ["gateway-1", "gateway-2"],
            "load_balancer": ["gateway-1"],
            "log_store": ["gateway-1"],
        },
        "hosts": variables,
        "problems": [],
    }
    told: list[str] = FLEET.problem_lines(
        FLEET.fleet_problems(fleet)
        + CONFIG.gateway_config_problems(fleet)
        + KEYS.gateway_key_problems(fleet),
        fleet,
    )
    return told


def test_a_sound_fleet_is_let_through() -> None:
    assert lines() == []


@pytest.mark.parametrize("value", [0.5, "0.5", 2, "16"])
def test_processors_may_be_a_fraction(value: Any) -> None:
    assert lines(gateway_cpus=value) == []


@pytest.mark.parametrize("value", ["512m", "512M", "2g", "2GB", "1073741824", 1073741824])
def test_memory_is_read_as_docker_reads_it(value: Any) -> None:
    assert lines(gateway_memory=value) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gateway_cpus": 0}, "gateway_cpus (group gateway): is 0."),
        ({"gateway_cpus": None}, "gateway_cpus (group gateway): is None."),
        ({"gateway_memory": "1"}, "gateway_memory (group gateway): is '1'."),
        ({"gateway_memory": "-1g"}, "gateway_memory (group gateway): is '-1g'."),
        (
            {"gateway_instances": "two"},
            "gateway_instances (group gateway): is 'two'. Use a whole number from 1.",
        ),
        ({"gateway_instances": True}, "gateway_instances (group gateway): is True."),
        (
            {"gateway_first_port": 70000},
            "gateway_first_port (group gateway): is 70000. Use a port number from 1 to 65535.",
        ),
        (
            {"gateway_instances": 2, "gateway_first_port": 65535},
            "gateway_first_port (group gateway): leads to port 65536.",
        ),
        (
            {"log_store_port": 5000},
            "load_balancer_port (gateway-1): port 5000 is taken twice: load_balancer_port, log_store_port.",
        ),
        ({"load_balancer_members": []}, "load_balancer_members (gateway-1): is empty"),
        (
            {"load_balancer_members": ["10.0.0.1:5101"] * 2},
            "load_balancer_members (gateway-1): holds 10.0.0.1:5101 more than once.",
        ),
        (
            {"load_balancer_requests_per_minute": -1},
            "load_balancer_requests_per_minute (gateway-1): is -1. Use a whole number, or 0 for none.",
        ),
        (
            {"gateway_api_keys_shared_by": 0},
            "gateway_api_keys_shared_by (group gateway): is 0. Use a whole number from 1.",
        ),
        (
            {"gateway_address": "127.0.0.1"},
            "gateway_address (gateway-2): is 127.0.0.1, where gateway-1 cannot reach it.",
        ),
        (
            {"gateway_bind_address": "127.0.0.1"},
            "gateway_bind_address (gateway-1): is 127.0.0.1, but the load balancers look",
        ),
        (
            {"gateway_trusted_proxies": ["lb.example.com"]},
            "gateway_trusted_proxies (group gateway): holds 'lb.example.com'",
        ),
        (
            {"load_balancer_keepalive_timeout": 11},
            "load_balancer_keepalive_timeout (gateway-1): is 11: a gateway that stops would close",
        ),
        (
            {"load_balancer_reload_grace": 121},
            "load_balancer_reload_grace (gateway-1): is 121: systemd would end the reload",
        ),
        (
            {"gateway_graceful_timeout": 60},
            "gateway_graceful_timeout (group gateway): is 60, less than load_balancer_read_timeout",
        ),
    ],
)
def test_a_value_that_cannot_work_is_named(changes: dict[str, Any], said: str) -> None:
    assert any(line.startswith(said) for line in lines(**changes)), lines(**changes)


def test_what_only_one_host_has_wrong_is_told_of_that_host() -> None:
    (line,) = lines(hosts={"gateway-2": {"gateway_cpus": "many"}})
    assert line.startswith("gateway_cpus (gateway-2): is 'many'.")


def test_the_same_port_on_different_hosts_is_fine() -> None:
    assert lines(hosts={"gateway-2": {"gateway_first_port": 5000}}) == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"gateway_endpoints": []}, "gateway_endpoints (group gateway): is empty"),
        ({"gateway_endpoints": {"chat": {}}}, "gateway_endpoints (group gateway): is no list of endpoints."),
        (
            {"gateway_endpoints": [endpoint("a b")]},
            "gateway_endpoints (group gateway): endpoint 'a b' has no usable name.",
        ),
        (
            {"gateway_endpoints": [endpoint(kind="chat")]},
            "gateway_endpoints (group gateway): endpoint 'chat' has endpoint_type 'chat'.",
        ),
        (
            {"gateway_endpoints": [{"name": "chat", "endpoint_type": "llm/v1/chat"}]},
            "gateway_endpoints (group gateway): endpoint 'chat' lacks a model",
        ),
        (
            {"gateway_secrets": {}},
            "gateway_secrets (group gateway): lacks OPENAI_API_KEY, which openai_api_key of",
        ),
        (
            {"gateway_secrets": {"OPENAI_API_KEY": "a\nb"}},
            "gateway_secrets (group gateway): OPENAI_API_KEY is no text of one line.",
        ),
        (
            {"gateway_secrets": {"OPENAI_API_KEY": " ", "A B": "x"}},
            "gateway_secrets (group gateway): 'A B' is no name for a secret.",
        ),
        (
            {"gateway_routes": [{"name": "chat", "task_type": "llm/v1/chat", "destinations": []}]},
            "gateway_routes (group gateway): a route and an endpoint have the name 'chat'.",
        ),
        (
            {
                "gateway_routes": [
                    {
                        "name": "r",
                        "task_type": "llm/v1/embeddings",
                        "destinations": [{"name": "chat", "traffic_percentage": 100}],
                    }
                ]
            },
            "gateway_routes (group gateway): route 'r' is for llm/v1/embeddings, but leads to 'chat'",
        ),
        (
            {
                "gateway_routes": [
                    {
                        "name": "r",
                        "task_type": "llm/v1/chat",
                        "destinations": [{"name": "chat", "traffic_percentage": 90}],
                    }
                ]
            },
            "gateway_routes (group gateway): route 'r' has traffic_percentage 90.",
        ),
        (
            {"gateway_endpoints": [endpoint() | {"fallbacks": ["chta"]}]},
            "gateway_endpoints (group gateway): endpoint 'chat' has the fallback 'chta', which is no",
        ),
        (
            {"gateway_endpoints": [endpoint() | {"fallbacks": "chat"}]},
            "gateway_endpoints (group gateway): endpoint 'chat' has no list of fallbacks.",
        ),
    ],
)
def test_a_gateway_configuration_that_cannot_work_is_named(config: dict[str, Any], said: str) -> None:
    assert any(line.startswith(said) for line in lines(**config)), lines(**config)


def test_a_key_among_the_endpoints_is_refused_and_not_quoted() -> None:
    (line,) = lines(gateway_endpoints=[endpoint(openai_api_key="sk-planted-canary")])
    assert line.startswith(
        "gateway_endpoints (group gateway): openai_api_key of endpoint 'chat' holds a value"
    )
    assert "OPENAI_API_KEY" in line
    assert "canary" not in line


def test_a_secret_that_cannot_be_used_is_not_quoted() -> None:
    assert "canary" not in " ".join(lines(gateway_secrets={"OPENAI_API_KEY": "planted\ncanary"}))


@pytest.mark.parametrize("name", ["gateway 1", "gateway/1", "-gateway", "g" * 65])
def test_a_host_name_that_cannot_stand_in_file_names_is_refused(name: str) -> None:
    fleet = {
        "groups": {"gateway": [name], "load_balancer": [name], "log_store": [name]},
        "hosts": {name: GATEWAY},
    }
    found = FLEET.fleet_problems(fleet)
    assert [entry["variable"] for entry in found] == ["inventory_hostname"]


def test_every_variable_that_a_check_looks_at_is_evaluated() -> None:
    variables = yaml.safe_load((ROLES / "preflight/vars/main.yml").read_text())["_preflight_variables"]
    looked_at = {
        name for names in (*FLEET.WHOLE_NUMBERS.values(), *FLEET.PORTS.values()) for name in names
    } | GATEWAY.keys()
    assert looked_at <= set(variables)


KEY = {"id": "a", "sha256": "0123456789abcdef" * 4, "owner": "a@example.com"}


def test_a_question_to_the_gateways_needs_a_key_where_callers_do() -> None:
    asked = {"gateway_api_keys": [KEY], "gateway_smoke_endpoint": "chat"}
    (told,) = lines(**asked)
    assert told.endswith("Set gateway_smoke_key, or leave gateway_smoke_endpoint empty.")
    assert lines(**asked, gateway_smoke_key="sk-planted-canary") == []
    assert lines(gateway_smoke_endpoint="chat") == []


@pytest.mark.parametrize("wanted", [True, "true", "yes"])
def test_the_cases_that_judge_a_change_need_a_key_where_callers_do(wanted: object) -> None:
    (told,) = lines(gateway_api_keys=[KEY], gateway_canary=wanted)
    assert told.endswith("Set gateway_canary_api_key, from a vault, or gateway_canary to false.")
    assert lines(gateway_api_keys=[KEY], gateway_canary=wanted, gateway_canary_api_key="sk-planted") == []
    assert lines(gateway_api_keys=[KEY], gateway_canary="false") == []
    assert lines(gateway_canary=wanted) == []


def test_good_keys_are_let_through() -> None:
    more = {"endpoints": ["chat"], "valid_until": "2027-03-31", "tokens_per_minute": 1000}
    assert lines(gateway_api_keys=[KEY, KEY | {"id": "b", "sha256": "f" * 64} | more]) == []
    assert lines(load_balancer_requests_per_minute=0, load_balancer_requests_burst="0") == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"a": KEY}, "is no list of keys. Make one with gateway-serve keys new."),
        ([KEY | {"id": "a b"}], "entry 1 has no usable id."),
        ([KEY | {"sha256": "abc"}], "key a has no sha256 of 64 hexadecimal digits."),
        ([KEY | {"owner": " "}], "key a has no owner."),
        ([KEY | {"valid_untill": "2027-01-01"}], "key a has the unknown valid_untill. Use id, sha256,"),
        ([KEY | {"requests_per_minute": 0}], "key a has requests_per_minute 0."),
        ([KEY | {"endpoints": []}], "key a has no list of endpoints."),
        ([KEY | {"endpoints": ["chta"]}], "key a is kept to chta, which is no endpoint or route."),
        ([KEY, KEY | {"id": "b"}], "has the same sha256 in entries 1, 2."),
        ([KEY, KEY | {"sha256": "f" * 64}], "has the same id in entries 1, 2."),
    ],
)
def test_bad_keys_are_named_and_no_hash_is_quoted(keys: Any, said: str) -> None:
    told = lines(gateway_api_keys=keys)
    assert any(line.startswith(f"gateway_api_keys (group gateway): {said}") for line in told), told
    assert KEY["sha256"] not in "".join(told)
