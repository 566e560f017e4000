"""Options and arguments that several commands share."""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from gateway_eval.secrets import key_from_environment
from gateway_eval.target import parse_base_url

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BaseURL(click.ParamType[str]):
    """The address of a gateway, without a path behind it."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the URL that paths are put behind."""
        try:
            return parse_base_url(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _read_key(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    try:
        return key_from_environment(name)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=param) from error


def api_key_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --api-key-env, which gives the command the key itself."""
    return click.option(
        "--api-key-env",
        "api_key",
        metavar="NAME",
        callback=_read_key,
        help="Environment variable that holds the key to send as bearer token. Without it no key is sent.",
    )(command)


def _read_headers(ctx: click.Context, param: click.Parameter, lines: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for line in lines:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or not _HEADER_NAME.fullmatch(name) or not value.isascii() or not value.isprintable():
            raise click.BadParameter(
                f"{line!r} is no header, such as 'x-tenant: research'", ctx=ctx, param=param
            )
        if name.lower() == "authorization":
            raise click.BadParameter(
                "put the key in a variable and name it with --api-key-env, so that it is shown nowhere",
                ctx=ctx,
                param=param,
            )
        headers[name] = value
    return headers


def header_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --header, which gives the command a dictionary."""
    return click.option(
        "--header",
        "headers",
        multiple=True,
        callback=_read_headers,
        metavar="'NAME: VALUE'",
        help="One more header of every call; repeatable. Not for secrets.",
    )(command)


def format_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --format and its short form --json."""
    command = click.option("--json", "output_format", flag_value="json", help="Short for --format json.")(
        command
    )
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="Form of what goes to standard output.",
    )(command)


class _Dollars(click.ParamType[Decimal]):
    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(str(value).removeprefix("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount in US dollars, such as 0.50", param, ctx)
        if not amount.is_finite() or amount <= 0:
            self.fail("has to be more than 0", param, ctx)
        return amount


def max_cost_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --max-cost, in US dollars."""
    return click.option(
        "--max-cost", type=_Dollars(), metavar="USD", help="Make no further call when so much is spent."
    )(command)


def pricing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --prices and --provider."""
    command = click.option(
        "--provider",
        metavar="NAME",
        help="Whose prices apply where the host does not say who serves a model.",
    )(command)
    return click.option(
        "--prices",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Price book to use instead of the shipped one.",
    )(command)


def timeout_option(default_s: float) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --timeout, in seconds."""
    return click.option(
        "--timeout",
        "timeout_s",
        type=click.FloatRange(min=0, min_open=True, max=86_400),
        default=default_s,
        show_default=True,
        metavar="SECONDS",
        help="Limit on one whole call, from connecting to the last byte.",
    )
