"""The page on the evaluation names every option that there is, and none that there is not."""

import re
from pathlib import Path

import click
import pytest

from gateway_eval.cases import suite_names
from gateway_eval.cli import cli
from gateway_eval.failure import FailureClass

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
COMMANDS = ("ask", "check", "compare", "run", "validate")


def options(name: str) -> set[str]:
    command = cli.get_command(click.Context(cli), name)  # type: ignore[attr-defined]
    assert command is not None
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described(name: str) -> None:
    assert {option for option in options(name) if option not in PAGE} == set()


def test_no_other_option_is_named() -> None:
    known = {option for name in (*COMMANDS, "load", "emulator") for option in options(name)}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert named - known == set()


def test_every_suite_and_error_class_is_described() -> None:
    for name in [*suite_names(), *(cause.value for cause in FailureClass)]:
        assert f"`{name}`" in PAGE, name
