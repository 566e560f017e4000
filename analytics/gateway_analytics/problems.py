"""Errors that end a command with one clear message."""

import click

from gateway_contracts.exit_codes import ExitCode


class UsageProblem(click.ClickException):
    """Something the user gave cannot be used; the message names it and the remedy."""

    exit_code = ExitCode.USAGE
