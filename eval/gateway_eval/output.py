"""Where a command's words go: data to standard output, narration to standard error, keys to neither."""

import json
from typing import Any

import click

from gateway_eval.secrets import Secrets


class Output:
    """Writes for one command. `quiet` leaves out narration, but never an error."""

    def __init__(self, secrets: Secrets, *, quiet: bool = False) -> None:
        self.secrets = secrets
        self._quiet = quiet

    def narrate(self, line: str) -> None:
        """Say what is going on."""
        if not self._quiet:
            click.echo(self.secrets.redact(line), err=True)

    def complain(self, line: str) -> None:
        """Say what is wrong."""
        click.echo(self.secrets.redact(line), err=True)

    def text(self, text: str) -> None:
        """Write data for people."""
        click.echo(self.secrets.redact(text), nl=False)

    def document(self, document: dict[str, Any]) -> None:
        """Write data for programs."""
        click.echo(json.dumps(self.secrets.redact_all(document), indent=2, ensure_ascii=False))
