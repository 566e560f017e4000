"""The documented commands are the program's."""

from pathlib import Path

from gateway_analytics.reference import reference
from support.analytics_store import run

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"


def test_the_reference_is_the_help() -> None:
    remedy = "Run: python -m gateway_analytics.reference > docs/commands.md"
    assert PAGE.read_text(encoding="utf-8") == reference(), remedy


def test_a_shell_gets_its_completion() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_GATEWAY_ANALYTICS_COMPLETE" in run(None, "completion", shell).stdout
