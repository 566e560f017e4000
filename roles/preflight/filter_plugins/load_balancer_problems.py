"""What is wrong with certificates and addresses of the load balancers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

Problem = dict[str, str]
Fleet = dict[str, Any]


def load_balancer_problems(fleet: Fleet) -> list[Problem]:
    """Return the problems of every load balancer; `fleet` is what the lookup fleet_variables returns."""
    return [
        {"variable": variable, "where": host, "text": text, "remedy": remedy}
        for host in fleet["groups"].get("load_balancer", [])
        for variable, text, remedy in _problems(fleet["hosts"][host])
    ]


def _problems(variables: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    certificate = variables.get("load_balancer_tls_certificate") or ""
    key = variables.get("load_balancer_tls_certificate_key") or ""
    if certificate and not key:
        yield (
            "load_balancer_tls_certificate_key",
            "is missing beside load_balancer_tls_certificate",
            "Add the key as PEM, from a vault",
        )
    if key and not certificate:
        yield (
            "load_balancer_tls_certificate",
            "is missing beside load_balancer_tls_certificate_key",
            "Add the certificate as PEM",
        )
    for variable, text, kind in (
        ("load_balancer_tls_certificate", certificate, "CERTIFICATE"),
        ("load_balancer_tls_certificate_key", key, "PRIVATE KEY"),
    ):
        if text and f"{kind}-----" not in str(text):
            remedy = "Give its content, such as lookup('ansible.builtin.file', 'tls/server.pem')"
            yield variable, "is no PEM", remedy
    if "ENCRYPTED PRIVATE KEY-----" in str(key):
        yield (
            "load_balancer_tls_certificate_key",
            "has a passphrase, which nobody could type",
            "Take it off, and keep the key in a vault",
        )
    if variables.get("load_balancer_tls") and not certificate:
        if not variables.get("load_balancer_tls_names", True):
            yield (
                "load_balancer_tls_names",
                "is empty, so a certificate would be for nobody",
                "Name what callers call this host",
            )
        days, before = (
            variables.get(f"load_balancer_tls_{name}") for name in ("certificate_days", "renew_days")
        )
        if _whole(days) and _whole(before) and int(before) >= int(days):
            yield (
                "load_balancer_tls_renew_days",
                f"is {before}, so a certificate of {days} days would be made anew by every run",
                "Use fewer days",
            )
    shared = str(variables.get("load_balancer_virtual_address") or "")
    if shared and not _is_interface(shared):
        yield (
            "load_balancer_virtual_address",
            f"is {shared!r}, which is no address",
            "Use a free address in the load balancers' network, such as 10.3.49.210",
        )
    if shared and shared.split("/")[0] in (variables.get("load_balancer_addresses") or []):
        yield (
            "load_balancer_virtual_address",
            f"is {shared}, which a load balancer has for itself",
            "Use an address that no host has",
        )
    number = variables.get("load_balancer_virtual_router_id", 51)
    if shared and not (_whole(number) and 1 <= int(number) <= 255):
        yield "load_balancer_virtual_router_id", f"is {number!r}", "Use a number from 1 to 255"
    for address in variables.get("load_balancer_internal_from") or []:
        try:
            ipaddress.ip_network(str(address))
        except ValueError:
            yield (
                "load_balancer_internal_from",
                f"holds {address!r}, which is no address or network",
                "Use an address, or a network such as 10.3.49.0/24",
            )


def _is_interface(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _whole(value: Any) -> bool:
    return str(value).isascii() and str(value).isdigit()


class FilterModule:
    """The filter `load_balancer_problems`."""

    def filters(self) -> dict[str, Any]:
        """Return it by name."""
        return {"load_balancer_problems": load_balancer_problems}
