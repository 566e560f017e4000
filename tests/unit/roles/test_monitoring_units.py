"""systemd reads what role monitoring writes, and keeps strangers from what hosts tell about themselves."""

from __future__ import annotations

import configparser

import pytest

from support.roles import ROLES, Role

UNITS = sorted(path.name for path in (ROLES / "monitoring/templates").glob("*.service.j2"))


def unit(template: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(
        Role(
            "monitoring",
            monitoring_from=["10.3.49.9", "fd00::9"],
            monitoring_fluent_bits={"shipper": 2020, "store": 2021},
            monitoring_store_path="/store",
            monitoring_nginx_url="https://10.3.49.1:5000",
        ).render(template)
    )
    return parser


@pytest.mark.parametrize("template", UNITS)
def test_a_unit_has_its_lines_apart(template: str) -> None:
    service = unit(template)["Service"]
    assert service["NoNewPrivileges"] == "true"
    assert service["ExecStart"].split()[0].startswith("/usr/")


@pytest.mark.parametrize("name", ["node", "nginx"])
def test_only_monitoring_hosts_are_answered(name: str) -> None:
    service = unit(f"llm-gateway-{name}-exporter.service.j2")["Service"]
    assert service["IPAddressDeny"] == "any"
    own = ["10.3.49.1"] if name == "nginx" else []  # by which nginx is asked
    assert service["IPAddressAllow"].split() == ["localhost", "10.3.49.9", "fd00::9", *own]


def test_the_collector_asks_every_fluent_bit_of_the_host() -> None:
    command = unit("llm-gateway-metrics.service.j2")["Service"]["ExecStart"].replace("\\", " ").split()
    assert "--store" in command
    assert {"shipper=http://127.0.0.1:2020", "store=http://127.0.0.1:2021"} <= set(command)
