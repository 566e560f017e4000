"""Which hosts a command is for: URLs on the command line, or a fleet's inventory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from gateway_eval.inventory import Inventory, InventoryError
from gateway_eval.options import BaseURL


@dataclass(frozen=True)
class Host:
    """A host to be tested; `role` is load_balancer or gateway where an inventory says so."""

    url: str
    name: str
    role: str | None = None


@dataclass(frozen=True)
class Hosts:
    """The hosts of a command, and what is to be known about those that are not among them."""

    hosts: tuple[Host, ...]
    warnings: tuple[str, ...] = ()


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add URL..., --host, --inventory and --group; the command gets what `find_hosts` takes."""
    command = click.option(
        "--group",
        metavar="NAME",
        help="Only this group of the inventory; `gateway` means each container, past the load balancer.",
    )(command)
    command = click.option(
        "-i",
        "--inventory",
        "inventories",
        multiple=True,
        type=click.Path(exists=True, path_type=Path),
        metavar="PATH",
        help="Ansible inventory in YAML to take the hosts from; repeatable.",
    )(command)
    command = click.option(
        "--host", "more_urls", multiple=True, type=BaseURL(), metavar="URL", help="One more host; repeatable."
    )(command)
    return click.argument("urls", metavar="[URL]...", nargs=-1, type=BaseURL())(command)


def find_hosts(
    urls: Sequence[str],
    more_urls: Sequence[str],
    inventories: Sequence[Path],
    group: str | None,
    *,
    default_group: str | None = None,
) -> Hosts:
    """Return the hosts that were named, each once. Raises click.UsageError with the remedy."""
    named = list(dict.fromkeys([*urls, *more_urls]))
    if named and inventories:
        raise click.UsageError("URLs and --inventory are two sources of hosts; give one of them")
    if group and not inventories:
        raise click.UsageError("--group is a group of an --inventory; name that as well")
    if named:
        return Hosts(tuple(Host(url, urlsplit(url).netloc) for url in named))
    if not inventories:
        raise click.UsageError(
            "no host is named: give its URL, such as http://10.3.49.202:5000, or --inventory"
        )
    try:
        inventory = Inventory(inventories)
        found = inventory.addresses(group or default_group)
    except InventoryError as error:
        raise click.UsageError(str(error)) from error
    if not found:
        raise click.UsageError(f"no host can be reached from here: {'; '.join(inventory.warnings)}")
    return Hosts(
        tuple(Host(address.url, address.name, address.role) for address in found), tuple(inventory.warnings)
    )
