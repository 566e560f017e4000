"""What is wrong with groups, hosts, limits, ports and the roles' wiring; and how problems are told."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

# As gateway-serve wants it: it stands in file names and records.
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# As Docker reads it; it refuses less than 6 MB.
MEMORY = re.compile(r"(\d+)([bkmg]?)b?", re.IGNORECASE)
MEMORY_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}
MINIMUM_MEMORY = 6 * 2**20
MEMBER = re.compile(r"(.+):(\d{1,5})")
IMAGE_SOURCES = ("build", "archive", "control", "pull")
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - to be recognised, not to be listened on

WHOLE_NUMBERS = {
    "gateway": (
        "gateway_instances",
        "gateway_workers",
        "gateway_pids_limit",
        "gateway_graceful_timeout",
        "gateway_start_timeout",
        "gateway_api_keys_shared_by",
    ),
    "load_balancer": (
        "load_balancer_connect_timeout",
        "load_balancer_read_timeout",
        "load_balancer_max_fails",
        "load_balancer_fail_timeout",
        "load_balancer_keepalive",
        "load_balancer_keepalive_timeout",
        "load_balancer_worker_connections",
    ),
}
# Zero for none.
COUNTS = {
    "load_balancer": (
        "load_balancer_reload_grace",
        "load_balancer_requests_per_minute",
        "load_balancer_requests_burst",
    )
}
# A stopping gateway waits 12 seconds (GATEWAY_LINGER) for load balancers to close their idle connections.
LONGEST_KEEPALIVE_S = 10
# systemd gives a reload 180 seconds (TimeoutStartSec of llm-gateway-load-balancer).
LONGEST_GRACE_S = 120
PORTS = {
    "gateway": ("gateway_first_port",),
    "load_balancer": ("load_balancer_port",),
    "log_store": ("log_store_port",),
}

Problem = dict[str, str]
Fleet = dict[str, Any]
INVENTORY = "inventory"


def problem(variable: str, where: str, text: str, remedy: str) -> Problem:
    return {"variable": variable, "where": where, "text": text, "remedy": remedy}


def fleet_problems(fleet: Fleet) -> list[Problem]:
    """Return the problems of the whole inventory; `fleet` is what the lookup fleet_variables returns."""
    return [
        *_group_problems(fleet["groups"]),
        *(
            found
            for host, variables in fleet["hosts"].items()
            for found in _host_problems(host, variables, fleet["groups"])
        ),
        *_wiring_problems(fleet),
    ]


def problem_lines(problems: list[Problem], fleet: Fleet) -> list[str]:
    """Return a line per problem: variable, hosts, what is wrong, remedy. What hosts share is told once."""
    hosts: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for entry in problems:
        hosts[entry["variable"], entry["text"], entry["remedy"]].append(entry["where"])
    return [
        f"{variable} ({_whose(variable, sorted(set(where)), fleet['groups'])}): {text}. {remedy}."
        for (variable, text, remedy), where in hosts.items()
    ]


def _whose(variable: str, where: list[str], groups: dict[str, list[str]]) -> str:
    # Several groups may have the same hosts: the one that the variable is named after is meant.
    for group in sorted(PORTS, key=lambda name: not variable.startswith(f"{name}_")):
        if len(where) > 1 and where == sorted(groups.get(group, [])):
            return f"group {group}"
    return ", ".join(where)


def _group_problems(groups: dict[str, list[str]]) -> Iterator[Problem]:
    for group, task in (
        ("gateway", "run gateway containers"),
        ("load_balancer", "run nginx in front of them"),
    ):
        if not groups.get(group):
            yield problem(
                f"group {group}", INVENTORY, "has no host", f"Add at least one host that shall {task}"
            )
    stores = groups.get("log_store", [])
    if len(stores) != 1:
        text = f"has {len(stores)} hosts ({', '.join(stores)})" if stores else "has no host"
        yield problem(
            "group log_store", INVENTORY, text, "Name exactly one host, which keeps the records of all"
        )


def _host_problems(host: str, variables: dict[str, Any], groups: dict[str, list[str]]) -> Iterator[Problem]:
    if not HOST_NAME.fullmatch(host):
        yield problem(
            "inventory_hostname",
            host,
            "stands in records and file names, and is no name for that",
            "Use at most 64 letters, digits, dots, hyphens and underscores; addresses go into ansible_host",
        )
    roles = [group for group in ("gateway", "load_balancer", "log_store") if host in groups.get(group, [])]
    for role in roles:
        for name in WHOLE_NUMBERS.get(role, ()):
            if name in variables and not _is_whole(variables[name]):
                yield problem(name, host, f"is {variables[name]!r}", "Use a whole number from 1")
        for name in COUNTS.get(role, ()):
            if name in variables and not (_is_whole(variables[name]) or str(variables[name]) == "0"):
                yield problem(name, host, f"is {variables[name]!r}", "Use a whole number, or 0 for none")
        for name in PORTS[role]:
            if name in variables and not (_is_whole(variables[name]) and int(variables[name]) <= 65535):
                yield problem(name, host, f"is {variables[name]!r}", "Use a port number from 1 to 65535")
    kept = variables.get("load_balancer_keepalive_timeout")
    if "load_balancer" in roles and _is_whole(kept) and int(kept) > LONGEST_KEEPALIVE_S:
        yield problem(
            "load_balancer_keepalive_timeout",
            host,
            f"is {kept}: a gateway that stops would close connections that calls are being sent on",
            f"Use at most {LONGEST_KEEPALIVE_S}",
        )
    grace = variables.get("load_balancer_reload_grace")
    if "load_balancer" in roles and _is_whole(grace) and int(grace) > LONGEST_GRACE_S:
        yield problem(
            "load_balancer_reload_grace",
            host,
            f"is {grace}: systemd would end the reload",
            f"Use at most {LONGEST_GRACE_S}",
        )
    yield from _port_problems(host, variables, roles)
    if "gateway" in roles:
        yield from _limit_problems(host, variables)
    if "gateway" in roles and variables.get("container_image_source") not in (*IMAGE_SOURCES, None):
        yield problem(
            "container_image_source",
            host,
            f"is {variables['container_image_source']!r}",
            f"Use one of {', '.join(IMAGE_SOURCES)}",
        )


def _limit_problems(host: str, variables: dict[str, Any]) -> Iterator[Problem]:
    if "gateway_cpus" in variables:
        try:
            enough = float(variables["gateway_cpus"]) >= 0.01
        except (TypeError, ValueError):
            enough = False
        if not enough:
            yield problem(
                "gateway_cpus",
                host,
                f"is {variables['gateway_cpus']!r}",
                "Use a number of processors, such as 2 or 0.5",
            )
    if "gateway_memory" in variables:
        match = MEMORY.fullmatch(str(variables["gateway_memory"]))
        if not match or int(match[1]) * MEMORY_UNITS[match[2].lower()] < MINIMUM_MEMORY:
            yield problem(
                "gateway_memory",
                host,
                f"is {variables['gateway_memory']!r}",
                "Use an amount of memory, such as 512m or 2g",
            )


def _port_problems(host: str, variables: dict[str, Any], roles: list[str]) -> Iterator[Problem]:
    users: dict[int, list[str]] = defaultdict(list)
    for role in roles:
        for name in PORTS[role]:
            if not _is_whole(variables.get(name)):
                continue  # said already
            count = variables.get("gateway_instances") if role == "gateway" else 1
            for number in range(int(count) if _is_whole(count) else 1):  # type: ignore[arg-type]
                port = int(variables[name]) + number
                users[port].append(f"{name} + {number}" if number else name)
                if port > 65535:
                    yield problem(
                        name, host, f"leads to port {port}", "Use a lower port or fewer gateway_instances"
                    )
    for port, names in users.items():
        if len(names) > 1:
            yield problem(
                names[0].split()[0],
                host,
                f"port {port} is taken twice: {', '.join(names)}",
                "Change one of them",
            )


def _wiring_problems(fleet: Fleet) -> Iterator[Problem]:
    groups, hosts = fleet["groups"], fleet["hosts"]
    gateways, balancers = groups.get("gateway", []), groups.get("load_balancer", [])
    for host in balancers:
        yield from _member_problems(host, hosts[host].get("load_balancer_members"), gateways)
    for host in gateways:
        variables = hosts[host]
        for other in balancers:
            patience, needed = (
                variables.get("gateway_graceful_timeout"),
                hosts[other].get("load_balancer_read_timeout"),
            )
            if _is_whole(patience) and _is_whole(needed) and int(patience) < int(needed):
                yield problem(
                    "gateway_graceful_timeout",
                    host,
                    f"is {patience}, less than load_balancer_read_timeout ({needed}): a stop would cut calls",
                    f"Use at least {needed}",
                )
        remote = [other for other in balancers if other != host]
        address, bound = (
            str(variables.get("gateway_address", "")),
            str(variables.get("gateway_bind_address", "")),
        )
        if remote and _is_loopback(address):
            yield problem(
                "gateway_address",
                host,
                f"is {address}, where {', '.join(remote)} cannot reach it",
                "Set it to the host's address in the network of the load balancers",
            )
        if bound and address and bound not in (*ANY_ADDRESS, address):
            yield problem(
                "gateway_bind_address",
                host,
                f"is {bound}, but the load balancers look for the gateways at {address}",
                "Set it to 0.0.0.0 or to gateway_address",
            )
        for proxy in variables.get("gateway_trusted_proxies") or []:
            if not _is_network(proxy):
                yield problem(
                    "gateway_trusted_proxies",
                    host,
                    f"holds {proxy!r}, which is no address or network",
                    "Set load_balancer_address of that host to the address from which it calls the gateways",
                )


def _member_problems(host: str, members: Any, gateways: list[str]) -> Iterator[Problem]:
    wiring = "Set it as the group_vars of inventories/production.example do"
    if members is None:
        return  # said already: it cannot be evaluated
    if not isinstance(members, list) or not all(
        isinstance(member, str) and MEMBER.fullmatch(member) for member in members
    ):
        yield problem("load_balancer_members", host, 'is no list of "address:port"', wiring)
    elif gateways and not members:
        yield problem("load_balancer_members", host, "is empty, so no call would reach a gateway", wiring)
    elif len(set(members)) != len(members):
        twice = sorted({member for member in members if members.count(member) > 1})
        yield problem(
            "load_balancer_members",
            host,
            f"holds {', '.join(twice)} more than once",
            "Give every gateway host an ansible_host or gateway_address of its own",
        )


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).isascii() and str(value).isdigit() and int(value) >= 1


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address == "localhost"


def _is_network(text: Any) -> bool:
    try:
        ipaddress.ip_network(str(text))
    except ValueError:
        return False
    return True


class FilterModule:
    """The filters `fleet_problems` and `problem_lines`."""

    def filters(self) -> dict[str, Any]:
        """Return them by name."""
        return {"fleet_problems": fleet_problems, "problem_lines": problem_lines}
