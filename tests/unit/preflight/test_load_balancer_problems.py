"""What preflight says of the load balancers' certificates and addresses."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from support.roles import ROLES

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n"


def said(**variables: Any) -> list[tuple[str, str]]:
    """Variable and text of each problem; no text may tell a key."""
    path = ROLES / "preflight/filter_plugins/load_balancer_problems.py"
    spec = importlib.util.spec_from_file_location("load_balancer_problems", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fleet = {"groups": {"load_balancer": ["a"]}, "hosts": {"a": variables}}
    problems = module.load_balancer_problems(fleet)
    assert "canary" not in str(problems)
    assert all(problem["remedy"] and problem["where"] == "a" for problem in problems)
    return [(problem["variable"], problem["text"]) for problem in problems]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"load_balancer_tls": True, "load_balancer_tls_names": ["a"]},
        {"load_balancer_tls_certificate": CERTIFICATE, "load_balancer_tls_certificate_key": KEY},
        {"load_balancer_internal_from": ["10.0.0.0/8", "10.3.49.5", "fd00::/8"]},
        {"load_balancer_virtual_address": "10.3.49.210/24", "load_balancer_addresses": ["10.3.49.202"]},
    ],
)
def test_what_is_right_is_left_alone(variables: dict[str, Any]) -> None:
    assert said(**variables) == []


@pytest.mark.parametrize(
    ("variables", "variable", "text"),
    [
        ({"load_balancer_tls_certificate": CERTIFICATE}, "load_balancer_tls_certificate_key", "is missing"),
        ({"load_balancer_tls_certificate_key": KEY}, "load_balancer_tls_certificate", "is missing"),
        (
            {"load_balancer_tls_certificate": "tls/a.pem", "load_balancer_tls_certificate_key": KEY},
            "load_balancer_tls_certificate",
            "is no PEM",
        ),
        (
            {
                "load_balancer_tls_certificate": CERTIFICATE,
                "load_balancer_tls_certificate_key": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"),
            },
            "load_balancer_tls_certificate_key",
            "has a passphrase",
        ),
        (
            {"load_balancer_tls": True, "load_balancer_tls_names": []},
            "load_balancer_tls_names",
            "is empty",
        ),
        (
            {
                "load_balancer_tls": True,
                "load_balancer_tls_certificate_days": 30,
                "load_balancer_tls_renew_days": 60,
            },
            "load_balancer_tls_renew_days",
            "every run",
        ),
        (
            {"load_balancer_internal_from": ["monitor.example.com"]},
            "load_balancer_internal_from",
            "no address",
        ),
    ],
)
def test_what_is_wrong_is_said(variables: dict[str, Any], variable: str, text: str) -> None:
    [(found, words)] = said(**variables)
    assert found == variable
    assert text in words
