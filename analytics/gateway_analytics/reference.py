"""The reference of all commands, made from their help.

Run as `python -m gateway_analytics.reference > docs/commands.md`.
"""

from collections.abc import Iterator

import click

from gateway_analytics.cli import gateway_analytics

_WIDTH = 100
_HEAD = """# gateway-analytics: every command

Made from the program's help by `python -m gateway_analytics.reference > docs/commands.md`.
[analytics.md](analytics.md) explains.
"""


def reference() -> str:
    """The page, in Markdown."""
    return _HEAD + "".join(_section(command, path) for command, path in _commands())


def _commands() -> Iterator[tuple[click.Command, str]]:
    waiting: list[tuple[click.Command, str]] = [(gateway_analytics, "gateway-analytics")]
    while waiting:
        command, path = waiting.pop(0)
        yield command, path
        if isinstance(command, click.Group):
            names = command.list_commands(click.Context(command))
            found = ((command.get_command(click.Context(command), name), name) for name in names)
            waiting = [(one, f"{path} {name}") for one, name in found if one is not None] + waiting


def _section(command: click.Command, path: str) -> str:
    settings = {"terminal_width": _WIDTH, "max_content_width": _WIDTH, "help_option_names": ["-h", "--help"]}
    with click.Context(command, info_name=path, **settings) as context:  # type: ignore[arg-type]
        text = command.get_help(context)
    return f"\n## {path}\n\n```\n" + "\n".join(line.rstrip() for line in text.splitlines()) + "\n```\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
