from pathlib import Path

import pytest

from gateway_eval.commands.load import load
from gateway_eval.load.slo import DISTRIBUTIONS, SCALARS

PAGE = (Path(__file__).parents[3] / "docs" / "load-testing.md").read_text()
SHARED = {"--api", "--endpoint", "--format", "--quiet", "-q"}  # explained with `run`


@pytest.mark.parametrize("option", [name for parameter in load.params[1:] for name in parameter.opts])
def test_every_option_is_explained(option):
    assert option in SHARED or f"`{option}" in PAGE


@pytest.mark.parametrize("quantity", [*DISTRIBUTIONS, *SCALARS])
def test_every_quantity_is_explained(quantity):
    assert any(f"`{quantity}`" in line for line in PAGE.splitlines() if line.startswith("|"))
