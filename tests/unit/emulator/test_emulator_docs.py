from pathlib import Path

import pytest

from gateway_eval.commands.emulator import emulator
from gateway_eval.emulator.directives import KNOWN

PAGE = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text()
ROWS = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("name", KNOWN)
def test_every_directive_is_in_the_table(name):
    assert any(f"`{name}`" in row or f"`{name}=" in row for row in ROWS)


@pytest.mark.parametrize("option", [name for parameter in emulator.params for name in parameter.opts])
def test_every_option_is_in_the_table(option):
    assert any(f"`{option}`" in row for row in ROWS)
