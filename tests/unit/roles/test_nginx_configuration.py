"""nginx itself accepts what role load_balancer renders, also for unusual but valid settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.load_balancer import NGINX, configuration, nginx_version
from support.roles import Role


@pytest.mark.skipif(shutil.which(NGINX) is None, reason="nginx is not installed on this machine")
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"load_balancer_members": ["10.0.0.1:5101"]},
        {"load_balancer_members": ["[::1]:5101", "127.0.0.1:5102"], "load_balancer_bind_address": "::1"},
        {"load_balancer_bind_address": "127.0.0.1", "load_balancer_max_body_size": "1g"},
        {"inventory_hostname": "Gateway_1.example.com"},
        {"load_balancer_requests_per_minute": 600},
        {"load_balancer_tls": True},
        {"load_balancer_internal_from": ["10.0.0.0/8", "fd00::1"]},
        {"load_balancer_requests_per_minute": 100000, "load_balancer_requests_burst": 0},
        {"load_balancer_requests_per_minute": 60, "load_balancer_limit_per": "address"},
        {
            "load_balancer_members": [
                f"10.0.{host}.1:{port}" for host in range(100) for port in range(5101, 5109)
            ]
        },
    ],
    ids=[
        "two",
        "one",
        "IPv6",
        "large bodies",
        "a long host name",
        "a limit",
        "TLS",
        "internal pages for others",
        "a limit without bursts",
        "a limit per address",
        "800 gateways",
    ],
)
def test_nginx_accepts_the_configuration(tmp_path: Path, variables: dict[str, Any]) -> None:
    (tmp_path / "tmp").mkdir()
    role = Role(
        "load_balancer",
        **({"load_balancer_members": ["127.0.0.1:5101", "127.0.0.1:5102"]} | variables),
        _load_balancer_temp_path=str(tmp_path / "tmp"),
        load_balancer_access_log_path=str(tmp_path),
        __load_balancer_nginx_version=nginx_version(),
    )
    path = tmp_path / "nginx.conf"
    path.write_text(configuration(role))
    user = "user root;" if os.geteuid() == 0 else ""
    done = subprocess.run(
        [NGINX, "-t", "-q", "-g", f"pid {tmp_path}/nginx.pid; {user}", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_generation_changes_with_the_configuration_alone() -> None:
    def generation(**variables: Any) -> str:
        return str(Role("load_balancer", **variables).evaluate("_load_balancer_generation"))

    assert generation() == generation()
    assert generation() != generation(load_balancer_members=["10.0.0.1:5101"])
