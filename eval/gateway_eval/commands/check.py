"""`gateway-eval check`: the status of gateways on one screen, for people and for monitoring."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from gateway_contracts.exit_codes import ExitCode
from gateway_eval.check_screen import as_screen, disagreements
from gateway_eval.envelope import envelope
from gateway_eval.failure import worst
from gateway_eval.host_status import HostStatus, ask_status
from gateway_eval.hosts import find_hosts, host_options
from gateway_eval.options import api_key_option, format_options, header_option, timeout_option
from gateway_eval.output import Output
from gateway_eval.secrets import Secrets
from gateway_eval.store_status import StoreStatus, ask_store

_AT_ONCE = 64


@click.command()
@host_options
@timeout_option(1.5)
@click.option(
    "--store",
    "store_path",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Log store on this machine whose newest records to look at as well.",
)
@click.option(
    "--max-lag",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Fail where the newest record of the store, or of a host in it, is older.",
)
@api_key_option
@header_option
@format_options
@click.pass_context
def check(
    ctx: click.Context,
    urls: tuple[str, ...],
    more_urls: tuple[str, ...],
    inventories: tuple[Path, ...],
    group: str | None,
    timeout_s: float,
    store_path: Path | None,
    max_lag: float | None,
    api_key: str | None,
    headers: dict[str, str],
    output_format: str,
) -> None:
    """Tell the status of gateways without spending money.

    Asks each host for its health and for what it lists: never a model. All
    hosts are asked at once, and --timeout bounds each of them in all.

    \b
    gateway-eval check http://10.3.49.202:5000
    gateway-eval check -i inventories/production --json
    gateway-eval check https://gateway.example --api-key-env GATEWAY_KEY

    \b
    Exit codes: 0 all well, 1 a host answers but is not well or no gateway,
    or the store lags, 3 a host cannot be reached, 4 a host refuses the key.
    """
    if max_lag is not None and store_path is None:
        raise click.UsageError("--max-lag is about a log store; name that with --store")
    output = Output(Secrets(api_key))
    found = find_hosts(urls, more_urls, inventories, group)
    since = datetime.now(UTC)
    with ThreadPoolExecutor(min(_AT_ONCE, len(found.hosts))) as pool:
        hosts = list(
            pool.map(partial(ask_status, api_key=api_key, timeout_s=timeout_s, headers=headers), found.hosts)
        )
    store = ask_store(store_path) if store_path is not None else None
    warnings = [*found.warnings, *(warning for host in hosts for warning in host.warnings)]
    warnings += disagreements(hosts)
    if output_format == "json":
        _write_json(output, hosts, store, warnings, since)
    else:
        output.text(as_screen(hosts, store))
    for host in hosts:
        if host.failure is not None:
            output.complain(f"{host.host.name}: {host.failure.failure_class.value}: {host.failure.message}")
            output.complain(f"    {host.failure.advice}")
    for warning in warnings:
        output.complain(f"warning: {warning}")
    codes = {host.exit_code for host in hosts} - {ExitCode.OK}
    if store is not None and _lags(store, max_lag, output):
        codes.add(ExitCode.CHECK_FAILED)
    ctx.exit(int(worst(codes)))


def _write_json(
    output: Output,
    hosts: Sequence[HostStatus],
    store: StoreStatus | None,
    warnings: list[str],
    since: datetime,
) -> None:
    totals = {
        "hosts": len(hosts),
        "ok": sum(host.ok for host in hosts),
        **({} if store is None else {"store": store.as_dict()}),
    }
    rows = [host.as_dict() for host in hosts]
    output.document(envelope("check", rows, totals, since=since, until=datetime.now(UTC), warnings=warnings))


def _lags(store: StoreStatus, max_lag: float | None, output: Output) -> bool:
    """Tell whether the store is unusable, or older than allowed, and say so."""
    if store.problem is not None:
        output.complain(store.words())
        return True
    if max_lag is None:
        return False
    ages = {"the store": store.newest_s, **store.by_host}
    late = [name for name, age in ages.items() if age is None or age > max_lag]
    if late:
        output.complain(f"{store.path}: no record within {max_lag:g} s of {', '.join(late)}")
    return bool(late)
