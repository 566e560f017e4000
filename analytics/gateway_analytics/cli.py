"""The command line's entry."""

import sys
import traceback
from importlib import import_module

import click

from gateway_contracts.exit_codes import ExitCode

_COMMANDS = ("costs", "requests", "prices", "schema")


class _Commands(click.Group):
    """Commands that are loaded when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- given by click
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"gateway_analytics.commands.{cmd_name}").command
        command.name = cmd_name
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: gateway-analytics costs --by model --store /srv/store",
)
@click.version_option(package_name="mlflow-gateway-fleet", prog_name="gateway-analytics")
def gateway_analytics() -> None:
    """Who spent what, on which model: answers from the log store."""


def main() -> None:
    """Run, and end with one of the exit codes that all programs share."""
    try:
        result = gateway_analytics.main(prog_name="gateway-analytics", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else ExitCode.OK)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except Exception:
        traceback.print_exc()
        click.echo("This is a bug in gateway-analytics: please report it with the lines above.", err=True)
        sys.exit(ExitCode.INTERNAL)
