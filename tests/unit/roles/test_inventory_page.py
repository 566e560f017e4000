"""docs/inventory.md names every public variable, with its default."""

from __future__ import annotations

import re

import pytest

from support.roles import REPOSITORY, argument_specs, role_names

ROWS = re.findall(
    r"^\| `(\w+)` \| \w+ \| (.*?) \| ", (REPOSITORY / "docs/inventory.md").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("role", [role for role in role_names() if role != "preflight"])
def test_every_variable_is_described(role: str) -> None:
    described = dict(ROWS)
    for name, option in argument_specs(role)["main"]["options"].items():
        default = option["default"]
        if default in ("", [], {}):
            expected = "empty"
        elif isinstance(default, str) and "{{" in default:
            expected = "worked out"
        else:
            expected = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        assert described.get(name) == expected, name


def test_nothing_is_described_that_is_gone() -> None:
    known = {name for role in role_names() for name in argument_specs(role)["main"].get("options", {})}
    assert {name for name, _ in ROWS} <= known
