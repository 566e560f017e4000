"""The command line's entry."""

import signal
import sys

import click

from gateway_analytics.commands.lazy_group import LazyGroup
from gateway_contracts.exit_codes import ExitCode

_COMMANDS = (
    "costs",
    "requests",
    "latency",
    "errors",
    "keys",
    "budget",
    "top",
    "waste",
    "whatif",
    "rerate",
    "reconcile",
    "export",
    "report",
    "query",
    "tail",
    "doctor",
    "prices",
    "compact",
    "verify",
    "schema",
    "completion",
)


@click.group(
    cls=LazyGroup,
    package="gateway_analytics.commands",
    names=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: gateway-analytics costs --by model --store /srv/store",
)
@click.version_option(package_name="mlflow-gateway-fleet", prog_name="gateway-analytics")
def gateway_analytics() -> None:
    """Who spent what, on which model: answers from the log store."""


def main() -> None:
    """Run, and end with one of the exit codes that all programs share."""
    # The first process of a container has no other way to end on SIGTERM, as of `docker stop` and `timeout`.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result = gateway_analytics.main(prog_name="gateway-analytics", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else ExitCode.OK)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(ExitCode.INTERRUPTED)
    except Exception as error:
        if str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C, a RuntimeError
            click.echo("interrupted", err=True)
            sys.exit(ExitCode.INTERRUPTED)
        import traceback

        traceback.print_exc()
        click.echo("This is a bug in gateway-analytics: please report it with the lines above.", err=True)
        sys.exit(ExitCode.INTERNAL)
