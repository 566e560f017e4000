"""The price book: what it says, whether it is right, and what is new."""

import click

from gateway_analytics.commands.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__name__,
    names=("list", "show", "check", "refresh"),
    default="list",
    no_args_is_help=False,
    epilog="Example: gateway-analytics prices --provider openai --model gpt-4o",
)
def command() -> None:
    """The prices that costs are computed with; `list` where no command is named."""
