"""The command line: finds commands, and turns every end of the program into its exit code."""

import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.version import version

# Loaded when used: a command's libraries should not slow the others down.
_COMMANDS = {
    "ask": "gateway_eval.commands.ask:ask",
    "check": "gateway_eval.commands.check:check",
    "compare": "gateway_eval.commands.compare:compare",
    "emulator": "gateway_eval.commands.emulator:emulator",
    "load": "gateway_eval.commands.load:load",
    "run": "gateway_eval.commands.run:run",
    "validate": "gateway_eval.commands.validate:validate",
}
_SUMMARIES = {
    "ask": "Ask a gateway one question.",
    "check": "Tell the status of gateways without spending money.",
    "compare": "Tell what changed between two runs, and whether it got worse.",
    "emulator": "Stand in for a model provider, for demos and tests.",
    "load": "Put load on a gateway and measure what its callers would see.",
    "run": "Put cases to gateways and judge the answers.",
    "validate": "Tell whether case files can be used.",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"gateway-eval {version()}")
        ctx.exit()


@click.group(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version.",
)
def cli() -> None:
    """Test any LLM gateway: MLflow's, and whatever speaks OpenAI's API.

    \b
    gateway-eval check http://10.3.49.202:5000
    gateway-eval ask http://10.3.49.202:5000 "What is AI?"
    gateway-eval run http://10.3.49.202:5000
    gateway-eval run http://10.3.49.202:5000 --cases cases.yml --max-cost 0.50
    gateway-eval compare before.json after.json

    \b
    Exit codes: 0 pass, 1 a check or the budget failed, 2 wrong usage or file,
    3 unreachable, 4 authentication, 5 quota, 6 rate limited, 70 a bug in this
    program, 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C: what was done is kept
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        code = ExitCode.CHECK_FAILED
    except Exception as error:
        _report_bug(error)
        code = ExitCode.INTERNAL
    sys.exit(int(code or 0))


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _report_bug(error: Exception) -> None:
    """Say where the program failed. Not what the error says: that may quote a host's answer, or a key."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"  # noqa: PTH119
    click.echo(f"gateway-eval: a bug in this program: {type(error).__name__} at {where}", err=True)
    click.echo("Please report it with this line and the command.", err=True)
