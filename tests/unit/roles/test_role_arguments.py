"""What a role documents is what it does: argument specs and defaults agree, and names keep to the rule."""

from __future__ import annotations

from typing import Any

import pytest

from support.roles import argument_specs, defaults, role_names

TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
}


def options(role: str) -> dict[str, dict[str, Any]]:
    """The documented options of a role's main entry point."""
    return argument_specs(role)["main"].get("options", {})


@pytest.mark.parametrize("role", role_names())
def test_documented_defaults_are_the_defaults(role: str) -> None:
    assert {name: option.get("default") for name, option in options(role).items()} == defaults(role)


@pytest.mark.parametrize("role", role_names())
def test_every_option_has_a_type_that_fits_and_a_description(role: str) -> None:
    for name, option in options(role).items():
        assert option["description"], name
        default = option["default"]
        templated = isinstance(default, str) and "{{" in default
        assert templated or isinstance(default, TYPES[option.get("type", "str")]), name
        assert default in option.get("choices", [default]), name


@pytest.mark.parametrize("role", role_names())
def test_public_variables_carry_the_name_of_their_role(role: str) -> None:
    assert [name for name in defaults(role) if not name.startswith(f"{role}_")] == []
