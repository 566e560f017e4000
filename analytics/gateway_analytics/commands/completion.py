"""Completion of commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

_PROGRAM = "gateway-analytics"


@click.command(epilog="Example: gateway-analytics completion bash")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    bash: add `source <(gateway-analytics completion bash)` to ~/.bashrc; zsh likewise in ~/.zshrc; fish:
    write it to ~/.config/fish/completions/gateway-analytics.fish.
    """
    # From click, which also answers the script's questions: each press of Tab runs the program.
    variable = f"_{_PROGRAM.replace('-', '_').upper()}_COMPLETE"
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 -- one of the shells above
    click.echo(completion(context.find_root().command, {}, _PROGRAM, variable).source())
