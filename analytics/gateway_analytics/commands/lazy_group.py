"""Command groups whose commands are loaded when they are named: help stays quick."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """Commands that live in modules of a package, each as `command`; one may be the default."""

    def __init__(
        self,
        *args: Any,
        package: str = "",
        names: Sequence[str] = (),
        default: str | None = None,
        **more: Any,
    ) -> None:
        """Take the package's name, the commands' names, and which one a bare call means."""
        super().__init__(*args, **more)
        self.package, self.names, self.default = package, tuple(names), default

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- given by click
        """Names in the order in which help shows them."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load the command of that name."""
        if cmd_name not in self.names:
            return None
        command: click.Command = import_module(f"{self.package}.{cmd_name.replace('-', '_')}").command
        command.name = cmd_name
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command before options that name none."""
        if self.default and not (args and (args[0] in self.names or args[0] in ctx.help_option_names)):
            known = not args or args[0].startswith("-")
            args = [self.default, *args] if known else args
        return super().parse_args(ctx, args)
