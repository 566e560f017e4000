"""What is wrong with gateway_endpoints, gateway_routes and gateway_secrets, before a host finds out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

# As mlflow/gateway has them: config.EndpointType, utils.is_valid_endpoint_name.
ENDPOINT_TYPES = ("llm/v1/chat", "llm/v1/completions", "llm/v1/embeddings")
ENDPOINT_NAME = re.compile(r"[A-Za-z0-9_.-]+")

ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Fields of MLflow's provider configurations that hold a secret, and may name it as $NAME.
SECRET_FIELD = re.compile(r"api_key$")

Problem = dict[str, str]


def problem(variable: str, where: str, text: str, remedy: str) -> Problem:
    return {"variable": variable, "where": where, "text": text, "remedy": remedy}


def gateway_config_problems(fleet: dict[str, Any]) -> list[Problem]:
    """Return the problems of all gateway hosts; `fleet` is what the lookup fleet_variables returns."""
    found: list[Problem] = []
    for host in fleet["groups"].get("gateway", []):
        variables = fleet["hosts"][host]
        if not {"gateway_endpoints", "gateway_routes", "gateway_secrets"} <= variables.keys():
            continue  # said already: it cannot be evaluated
        endpoints, routes, secrets = (
            variables[f"gateway_{name}"] for name in ("endpoints", "routes", "secrets")
        )
        shapes = list(_shape_problems(endpoints, routes, secrets))
        problems = shapes or [
            *_endpoint_problems(endpoints),
            *_name_problems(endpoints, routes),
            *_fallback_problems(endpoints),
            *_route_problems(endpoints, routes),
            *_secret_problems(endpoints, secrets),
        ]
        found += [problem(variable, host, text, remedy) for variable, text, remedy in problems]
    return found


# Each of these yields the variable, what is wrong with it, and the remedy.
Finding = tuple[str, str, str]


def _shape_problems(endpoints: Any, routes: Any, secrets: Any) -> Iterator[Finding]:
    schema = "Write it as the group_vars of inventories/production.example do"
    if not isinstance(endpoints, list) or not all(isinstance(entry, dict) for entry in endpoints):
        yield "gateway_endpoints", "is no list of endpoints", schema
    elif not endpoints:
        yield "gateway_endpoints", "is empty, so nothing would be served", "Name at least one endpoint"
    if not isinstance(routes, list) or not all(isinstance(entry, dict) for entry in routes):
        yield "gateway_routes", "is no list of routes", schema
    if not isinstance(secrets, dict):
        yield (
            "gateway_secrets",
            "is no dictionary of names and values",
            "Write one line per secret, NAME: value",
        )


def _endpoint_problems(endpoints: list[dict[str, Any]]) -> Iterator[Finding]:
    for number, endpoint in enumerate(endpoints, 1):
        name = endpoint.get("name")
        label = f"endpoint {name!r}" if name else f"endpoint number {number}"
        if not isinstance(name, str) or not ENDPOINT_NAME.fullmatch(name):
            yield (
                "gateway_endpoints",
                f"{label} has no usable name",
                "Name it with letters, digits, dots, hyphens and underscores",
            )
        if endpoint.get("endpoint_type") not in ENDPOINT_TYPES:
            yield (
                "gateway_endpoints",
                f"{label} has endpoint_type {endpoint.get('endpoint_type')!r}",
                f"Use one of {', '.join(ENDPOINT_TYPES)}",
            )
        model = endpoint.get("model")
        if (
            not isinstance(model, dict)
            or not model.get("provider")
            or not isinstance(model.get("config"), dict)
        ):
            yield (
                "gateway_endpoints",
                f"{label} lacks a model with provider and config",
                "Give it model.provider, model.name and model.config",
            )


def _name_problems(endpoints: list[dict[str, Any]], routes: list[dict[str, Any]]) -> Iterator[Finding]:
    ours, theirs = (Counter(str(entry.get("name")) for entry in entries) for entries in (endpoints, routes))
    for name, count in ours.items():
        if count > 1:
            yield (
                "gateway_endpoints",
                f"{count} endpoints have the name {name!r}",
                "Give each a name of its own",
            )
    for name, count in theirs.items():
        if name in ours:
            yield "gateway_routes", f"a route and an endpoint have the name {name!r}", "Rename one of them"
        elif count > 1:
            yield "gateway_routes", f"{count} routes have the name {name!r}", "Give each a name of its own"


def _fallback_problems(endpoints: list[dict[str, Any]]) -> Iterator[Finding]:
    types = {endpoint.get("name"): endpoint.get("endpoint_type") for endpoint in endpoints}
    for endpoint in endpoints:
        label, fallbacks = f"endpoint {endpoint.get('name')!r}", endpoint.get("fallbacks", [])
        if not isinstance(fallbacks, list):
            yield (
                "gateway_endpoints",
                f"{label} has no list of fallbacks",
                "List the names of other endpoints",
            )
            continue
        for name in fallbacks:
            if name == endpoint.get("name") or types.get(name) != endpoint.get("endpoint_type"):
                yield (
                    "gateway_endpoints",
                    f"{label} has the fallback {name!r}, which is no other endpoint of its type",
                    f"Use endpoints of type {endpoint.get('endpoint_type')}",
                )


def _route_problems(endpoints: list[dict[str, Any]], routes: list[dict[str, Any]]) -> Iterator[Finding]:
    types = {endpoint.get("name"): endpoint.get("endpoint_type") for endpoint in endpoints}
    known = ", ".join(map(str, types))
    for number, route in enumerate(routes, 1):
        label = f"route {route['name']!r}" if route.get("name") else f"route number {number}"
        if route.get("task_type") not in ENDPOINT_TYPES:
            yield (
                "gateway_routes",
                f"{label} has task_type {route.get('task_type')!r}",
                f"Use one of {', '.join(ENDPOINT_TYPES)}",
            )
        task, destinations = route.get("task_type"), route.get("destinations")
        if not isinstance(destinations, list) or not all(isinstance(entry, dict) for entry in destinations):
            yield (
                "gateway_routes",
                f"{label} has no list of destinations",
                "List them, each with name and traffic_percentage",
            )
            continue
        for name in (entry.get("name") for entry in destinations):
            if name not in types:
                yield (
                    "gateway_routes",
                    f"{label} leads to {name!r}, which is no endpoint",
                    f"Use one of {known}, or add {name!r} to gateway_endpoints",
                )
            elif types[name] != task:
                yield (
                    "gateway_routes",
                    f"{label} is for {task}, but leads to {name!r}, which is for {types[name]}",
                    "Use destinations of the route's own task_type",
                )
        shares = [entry.get("traffic_percentage") for entry in destinations]
        whole = all(isinstance(share, int) and 0 <= share <= 100 for share in shares)
        if not whole or sum(share for share in shares if isinstance(share, int)) != 100:
            yield (
                "gateway_routes",
                f"{label} has traffic_percentage {', '.join(map(str, shares))}",
                "Use whole numbers from 0 to 100 that add up to 100",
            )


def _secret_problems(endpoints: list[dict[str, Any]], secrets: dict[str, Any]) -> Iterator[Finding]:
    """Never name a value: it is a secret, or may be one."""
    for name, value in secrets.items():
        if not ENVIRONMENT_NAME.fullmatch(str(name)):
            yield (
                "gateway_secrets",
                f"{name!r} is no name for a secret",
                "Use letters, digits and underscores, such as OPENAI_API_KEY",
            )
        if value is None or not str(value).strip():
            yield (
                "gateway_secrets",
                f"{name} is blank",
                f"Set it in the inventory's vault, or export {name} if the inventory takes it from there",
            )
        elif not isinstance(value, str) or "\n" in value.rstrip("\n") or "\0" in value:
            yield "gateway_secrets", f"{name} is no text of one line", "Write it in quotes, on one line"
    for endpoint in endpoints:
        label = f"endpoint {endpoint.get('name')!r}"
        for field, value in _secret_fields(endpoint.get("model")):
            if (
                not isinstance(value, str)
                or not ENVIRONMENT_NAME.fullmatch(value.removeprefix("$"))
                or not value.startswith("$")
            ):
                yield (
                    "gateway_endpoints",
                    f"{field} of {label} holds a value instead of the name of a secret",
                    f"Put it into gateway_secrets as {field.upper()}, and write {field}: ${field.upper()}",
                )
            elif value.removeprefix("$") not in secrets:
                yield (
                    "gateway_secrets",
                    f"lacks {value.removeprefix('$')}, which {field} of {label} names",
                    f"Add {value.removeprefix('$')} to gateway_secrets",
                )


def _secret_fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and value of the fields that hold a secret, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _secret_fields(inner)
            elif SECRET_FIELD.search(str(name)):
                yield str(name), inner
    elif isinstance(value, list):
        for inner in value:
            yield from _secret_fields(inner)


class FilterModule:
    """The filter `gateway_config_problems`."""

    def filters(self) -> dict[str, Any]:
        """Return it by name."""
        return {"gateway_config_problems": gateway_config_problems}
