"""What is done to the fleet, as its operators do it: with its playbooks."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.fleet import REPOSITORY, Fleet

THIRD_HOST = REPOSITORY / "tests/operations/third_host.yml"
# Streams last up to 20 seconds; containers, drained, wait for them.
_VARIABLES: dict[str, Any] = {
    "gateway_workers": 1,
    "gateway_graceful_timeout": 60,
    "load_balancer_read_timeout": 60,
}


@dataclass
class Operators:
    """Who changes the fleet: their inventories, and what they have set by now."""

    inventories: tuple[Path, ...]
    variables: dict[str, Any] = field(default_factory=lambda: dict(_VARIABLES))

    @property
    def fleet(self) -> Fleet:
        return Fleet(*self.inventories)

    def play(self, playbook: str, *arguments: str, **changes: Any) -> None:
        """Run a playbook with all that was set, and these changes, which stay set."""
        self.variables |= changes
        self.fleet.run(
            "ansible-playbook", *self.fleet.inventory_arguments, playbook,
            "-e", json.dumps(self.variables), *arguments,
        )  # fmt: skip

    def add_third_host(self) -> None:
        self.inventories = (*self.inventories, THIRD_HOST)

    def forget_third_host(self) -> None:
        self.inventories = tuple(path for path in self.inventories if path != THIRD_HOST)


@dataclass(frozen=True)
class Change:
    """One kind of change; `before` is done while nobody calls."""

    name: str
    make: Callable[[Operators], None]
    before: Callable[[Operators], None] | None = None


def add_host(operators: Operators) -> None:
    """One more gateway host."""
    operators.add_third_host()
    operators.play("site.yml")


def make_release(operators: Operators) -> None:
    """Put another version's images into this machine's engine: the same program, with another label."""
    running = operators.fleet.shell(
        "gateway-1", "docker inspect -f '{{.Config.Image}}' llm-gateway-1"
    ).strip()
    tools = operators.fleet.shell("gateway-1", "docker inspect -f '{{.Config.Image}}' llm-gateway-emulator")
    for name, image in (("llm-gateway", running), ("llm-gateway-tools", tools.strip())):
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", f"{name}:operations", "-"],
            input=f"FROM {image}\nLABEL llm-gateway.release=operations\n",
            text=True, check=True, capture_output=True, env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip


def upgrade(operators: Operators) -> None:
    """Another version."""
    operators.play("site.yml", container_image_source="control", container_image_tag="operations")


def configure(operators: Operators) -> None:
    """Another setting of the gateways."""
    environment = {"MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS": "299"}
    operators.play("site.yml", "--tags", "gateway", gateway_environment=environment)


def roll_back(operators: Operators) -> None:
    """The release before."""
    operators.play("playbooks/rollback.yml")
    operators.variables.pop("gateway_environment", None)


def renew_certificates(operators: Operators) -> None:
    """Another certificate on each load balancer."""
    days = 400 + int(time.time()) // 60 % 1000  # more than the ones that serve have
    operators.play(
        "site.yml", "--tags", "load_balancer",
        load_balancer_tls_renew_days=days - 1, load_balancer_tls_certificate_days=days,
    )  # fmt: skip


def reload_load_balancers(operators: Operators) -> None:
    """Another setting of nginx: each load balancer is reloaded."""
    operators.play("site.yml", "--tags", "load_balancer", load_balancer_max_body_size="31m")


def remove_host(operators: Operators) -> None:
    """One gateway host less; then the load balancers forget it."""
    operators.play("playbooks/remove_host.yml", "-e", "target=gateway-3")
    operators.forget_third_host()
    operators.play("site.yml", "--tags", "load_balancer")


ADD_HOST = Change("scale-out: a third host", add_host)
REMOVE_HOST = Change("scale-in: a host leaves", remove_host)
CHANGES = (
    Change("certificates of both load balancers renewed", renew_certificates),
    Change("both load balancers reloaded", reload_load_balancers),
    ADD_HOST,
    Change("configuration: another setting of all gateways", configure),
    Change("rollback of all gateways", roll_back),
    REMOVE_HOST,
    Change("upgrade: another image on all hosts", upgrade, before=make_release),
)
