"""Role gateway writes keys as the gateway reads them, where containers follow them without being replaced."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gateway_serve.api_keys import ApiKeys
from support.roles import Role

ENTRY = yaml.safe_load(
    f"""
    id: alice-1
    sha256: "{"0" * 64}"
    owner: Zoë
    valid_from: 2026-11-01
    valid_until: 2027-03-31
    endpoints: [chat]
    tokens_per_minute: 1000
    """
)


def role(keys: list[dict[str, Any]], **more: Any) -> Role:
    return Role("gateway", gateway_api_keys=keys, _gateway_seen={"bridge": "172.17.0.1"}, **more)


@pytest.mark.parametrize("entry", [ENTRY, {**ENTRY, "valid_from": "2026-11-01", "valid_until": "2027-03-31"}])
def test_the_gateway_reads_what_the_role_writes(entry: dict[str, Any]) -> None:
    text = role([entry], gateway_api_keys_shared_by=6).evaluate(
        "_gateway_keys | to_nice_yaml(indent=2, sort_keys=false)"
    )
    keys = ApiKeys.parse(text.encode())
    (key,) = keys
    assert keys.instances == 6
    assert (key.id, key.owner, key.endpoints) == ("alice-1", "Zoë", frozenset({"chat"}))
    assert (str(key.valid_from), str(key.valid_until)) == (
        "2026-11-01 00:00:00+00:00",
        "2027-04-01 00:00:00+00:00",
    )


def container(keys: list[dict[str, Any]]) -> tuple[Any, Any, Any]:
    known = role(keys)
    return tuple(
        known.evaluate(name) for name in ("_gateway_container", "_gateway_mounts", "_gateway_configuration")
    )  # type: ignore[return-value]


def test_changed_keys_change_no_container() -> None:
    assert container([ENTRY]) == container([ENTRY | {"sha256": "1" * 64}])


def test_without_keys_there_is_nothing_of_them_in_a_container() -> None:
    description, mounts, _ = container([])
    assert description["env"]["GATEWAY_API_KEYS"] == ""
    assert not any("keys" in mount for mount in mounts)
    description, mounts, _ = container([ENTRY])
    directory = next(mount.split(":")[1] for mount in mounts if "keys" in mount)
    assert description["env"]["GATEWAY_API_KEYS"].startswith(f"{directory}/")
