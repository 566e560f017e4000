"""What `gateway-eval check` shows: one host in full, several with a line each."""

from collections.abc import Callable, Sequence
from typing import Any

from gateway_eval.host_status import HostStatus
from gateway_eval.inventory import GATEWAY
from gateway_eval.store_status import StoreStatus
from gateway_eval.table import render

_COLUMNS = (
    ("HOST", "left"),
    ("ROLE", "left"),
    ("STATUS", "left"),
    ("HEALTH MS", "right"),
    ("VERSION", "left"),
    ("ENDPOINTS", "left"),
    ("TLS DAYS", "right"),
    ("KEY", "left"),
)


def as_screen(hosts: Sequence[HostStatus], store: StoreStatus | None = None) -> str:
    """Return the status of hosts and store for people."""
    screen = _in_full(hosts[0]) if len(hosts) == 1 else _in_lines(hosts)
    return screen if store is None else f"{screen}\n{store.words()}\n"


def disagreements(hosts: Sequence[HostStatus]) -> list[str]:
    """Return in what the containers of a fleet differ that should be the same."""
    gateways = [host for host in hosts if host.host.role == GATEWAY and host.ok]

    def differ(what: str, value: Callable[[HostStatus], Any]) -> list[str]:
        found: dict[Any, list[str]] = {}
        for gateway in gateways:
            if (known := value(gateway)) is not None:
                found.setdefault(known, []).append(gateway.host.name)
        if len(found) < 2:
            return []
        usual = max(found, key=lambda each: len(found[each]))
        others = [name for each, names in found.items() if each != usual for name in names]
        return [f"{what} differ: {', '.join(others)} from the others"]

    return [
        *differ("versions", lambda gateway: gateway.version),
        *differ("endpoints", lambda gateway: gateway.endpoints),
        *differ(
            "configurations", lambda gateway: gateway.health and gateway.health.facts.get("config_digest")
        ),
    ]


def _in_lines(hosts: Sequence[HostStatus]) -> str:
    roles = any(host.host.role for host in hosts)
    keys = any(host.key for host in hosts)
    shown = [
        position
        for position, (heading, _) in enumerate(_COLUMNS)
        if (heading != "ROLE" or roles) and (heading != "KEY" or keys)
    ]
    cells = [[_line(host)[position] for position in shown] for host in hosts]
    table = render([_COLUMNS[position] for position in shown], cells)
    return f"{table}\n{sum(host.ok for host in hosts)} of {len(hosts)} ok\n"


def _line(host: HostStatus) -> tuple[object, ...]:
    health = host.health
    return (
        host.host.name,
        host.host.role,
        host.status,
        None if health is None or health.duration_ms is None else f"{health.duration_ms:g}",
        host.version,
        _names(host),
        host.certificate_days_left,
        host.key,
    )


def _names(host: HostStatus) -> str | None:
    names = [endpoint.name for endpoint in host.endpoints]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else None


def _in_full(host: HostStatus) -> str:
    health = host.health
    lines: list[tuple[str, Any]] = [
        ("status", host.status),
        ("health", _health_words(host)),
        ("api", host.api),
        ("version", host.version),
    ]
    if health is not None and health.facts:
        lines.append(("says", ", ".join(f"{name} {value}" for name, value in health.facts.items())))
    if health is not None and health.tls:
        lines.append(("tls", host.tls_words()))
    if host.key is not None:
        lines.append(("key", host.key))
    text = f"{host.host.url}\n" + "".join(
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
