"""`gateway-eval check`: the status of gateways, for people and for monitoring."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.envelope import envelope
from gateway_eval.failure import worst
from gateway_eval.host_status import HostStatus, ask_status
from gateway_eval.options import BaseURL, api_key_option, format_options, timeout_option
from gateway_eval.output import Output
from gateway_eval.secrets import Secrets
from gateway_eval.table import render

_AT_ONCE = 16


@click.command()
@click.argument("urls", metavar="URL...", nargs=-1, required=True, type=BaseURL())
@timeout_option(5)
@api_key_option
@format_options
@click.pass_context
def check(
    ctx: click.Context, urls: tuple[str, ...], timeout_s: float, api_key: str | None, output_format: str
) -> None:
    """Tell the status of gateways without spending money.

    Asks each host for its health and for what it lists: never a model.

    \b
    gateway-eval check http://10.3.49.202:5000
    gateway-eval check --json http://10.3.49.202:5000 https://gateway.example

    \b
    Exit codes: 0 all well, 1 a host answers but is not well or no gateway,
    3 a host cannot be reached, 4 a host refuses the key.
    """
    output = Output(Secrets(api_key))
    since = datetime.now(UTC)
    with ThreadPoolExecutor(min(_AT_ONCE, len(urls))) as pool:
        hosts = list(pool.map(partial(ask_status, api_key=api_key, timeout_s=timeout_s), urls))
    if output_format == "json":
        rows = [host.as_dict() for host in hosts]
        counts = {"hosts": len(hosts), "ok": sum(host.ok for host in hosts)}
        warnings = [warning for host in hosts for warning in host.warnings]
        output.document(
            envelope("check", rows, counts, since=since, until=datetime.now(UTC), warnings=warnings)
        )
    else:
        output.text("\n".join(_as_text(host) for host in hosts))
    for host in hosts:
        if host.failure is not None:
            output.complain(f"{host.url}: {host.failure.failure_class.value}: {host.failure.message}")
            output.complain(f"    {host.failure.advice}")
        for warning in host.warnings:
            output.complain(f"warning: {warning}")
    ctx.exit(int(worst({host.exit_code for host in hosts} - {ExitCode.OK})))


def _as_text(host: HostStatus) -> str:
    health = host.health
    lines: list[tuple[str, Any]] = [
        ("status", host.status),
        ("health", _health_words(host)),
        ("api", host.api),
        ("version", host.version),
    ]
    if health is not None and health.tls:
        lines.append(("tls", host.tls_words()))
    text = f"{host.url}\n" + "".join(
        f"  {name:<9}{'-' if value is None else value}\n" for name, value in lines
    )
    if host.endpoints:
        columns = (("ENDPOINT", "left"), ("TYPE", "left"), ("PROVIDER", "left"), ("MODEL", "left"))
        cells = [(entry.name, entry.kind, entry.provider, entry.model) for entry in host.endpoints]
        text += "\n" + "".join(f"  {line}\n" for line in render(columns, cells).splitlines())
    return text


def _health_words(host: HostStatus) -> str | None:
    health = host.health
    if health is None:
        return None
    if health.healthy is None:
        return "not offered"
    took = "" if health.duration_ms is None else f" in {health.duration_ms:g} ms"
    return f"{'ok' if health.healthy else 'not ok'} ({health.path}{took})"
