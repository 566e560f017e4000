"""What is wrong with gateway_api_keys, before the gateways refuse them; no hash is ever quoted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

# As gateway-serve has them; docs/keys-and-limits.md lists the fields.
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
LIMITS = ("requests_per_minute", "tokens_per_minute")
FIELDS = ("id", "sha256", "owner", "team", "valid_from", "valid_until", "endpoints", *LIMITS)

VARIABLE = "gateway_api_keys"
MAKE_ONE = "Make one with gateway-serve keys new"

Problem = dict[str, str]


def gateway_key_problems(fleet: dict[str, Any]) -> list[Problem]:
    """Return the problems of all gateway hosts; `fleet` is what the lookup fleet_variables returns."""
    return [
        {"variable": VARIABLE, "where": host, "text": text, "remedy": remedy}
        for host in fleet["groups"].get("gateway", [])
        for text, remedy in _problems(fleet["hosts"][host])
    ]


def _problems(variables: dict[str, Any]) -> Iterator[tuple[str, str]]:
    keys = variables.get(VARIABLE)
    if not keys:
        return
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        yield "is no list of keys", MAKE_ONE
        return
    if variables.get("gateway_smoke_endpoint") and not variables.get("gateway_smoke_key"):
        yield (
            "are needed to call, but the question to gateway_smoke_endpoint has none",
            "Set gateway_smoke_key, or leave gateway_smoke_endpoint empty",
        )
    # From the command line it is text.
    judged = str(variables.get("gateway_canary")).lower() in ("true", "yes", "on", "1")
    if judged and not variables.get("gateway_canary_api_key"):
        yield (
            "are needed to call, but the cases that judge a change (gateway_canary) have none",
            "Set gateway_canary_api_key, from a vault, or gateway_canary to false",
        )
    endpoints = {
        entry.get("name")
        for name in ("gateway_endpoints", "gateway_routes")
        for entry in variables.get(name) or []
        if isinstance(entry, dict)
    }
    for number, key in enumerate(keys, 1):
        yield from _key_problems(key, number, endpoints)
    for field in ("id", "sha256"):
        counts = Counter(str(key[field]).lower() for key in keys if key.get(field))
        twice = [number for number, key in enumerate(keys, 1) if counts[str(key.get(field)).lower()] > 1]
        if twice:
            yield (
                f"has the same {field} in entries {', '.join(map(str, twice))}",
                "Give each key its own",
            )


def _key_problems(key: dict[str, Any], number: int, endpoints: set[Any]) -> Iterator[tuple[str, str]]:
    identity = key.get("id")
    named = isinstance(identity, str) and ID.fullmatch(identity)
    label = f"key {identity}" if named else f"entry {number}"
    if not named:
        yield (
            f"{label} has no usable id",
            "Use at most 64 letters, digits, dots, hyphens and underscores",
        )
    if unknown := sorted(str(field) for field in key if field not in FIELDS):
        yield f"{label} has the unknown {', '.join(unknown)}", f"Use {', '.join(FIELDS)}"
    if not isinstance(key.get("sha256"), str) or not SHA256.fullmatch(key["sha256"]):
        yield f"{label} has no sha256 of 64 hexadecimal digits", MAKE_ONE
    if not isinstance(key.get("owner"), str) or not key["owner"].strip():
        yield f"{label} has no owner", "Name who answers for it"
    for limit in LIMITS:
        value = key.get(limit)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            yield f"{label} has {limit} {value!r}", "Use a whole number from 1, or leave it out"
    allowed = key.get("endpoints")
    if allowed is None:
        return
    if not isinstance(allowed, list) or not allowed:
        yield f"{label} has no list of endpoints", "Name some, or leave it out to allow all"
    elif missing := [str(name) for name in allowed if name not in endpoints]:
        yield (
            f"{label} is kept to {', '.join(missing)}, which is no endpoint or route",
            "Correct the name, or add the endpoint",
        )


class FilterModule:
    """The filter `gateway_key_problems`."""

    def filters(self) -> dict[str, Any]:
        """Return it by name."""
        return {"gateway_key_problems": gateway_key_problems}
