"""The `gateway-eval` command line."""

import importlib

import click

# Loaded when used, so that a command does not wait for the imports of the others.
_COMMANDS = {
    "emulator": "gateway_eval.commands.emulator:emulator",
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (the same)
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 (for the type checker)
        return command


@click.group(cls=_LazyGroup)
@click.version_option(package_name="mlflow-gateway-fleet")
def main() -> None:
    """Test any gateway host, and run a provider to test against."""
