"""What is done to the fleet, as its operators do it: with its playbooks."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.fleet import REPOSITORY, Fleet

THIRD_HOST = REPOSITORY / "tests/operations/third_host.yml"
RELEASE = REPOSITORY / "build/operations_release.yml"
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
    release: str = ""
    """Tag of the images that were made to upgrade to; empty where none were."""

    @property
    def fleet(self) -> Fleet:
        return Fleet(*self.inventories)

    def play(self, playbook: str, *arguments: str, **changes: Any) -> str:
        """Run a playbook with all that was set, and these changes, which stay set. Return what it printed."""
        self.variables |= changes
        return self.fleet.run(
            "ansible-playbook", *self.fleet.inventory_arguments, playbook,
            "-e", json.dumps(self.variables), *arguments,
        ).stdout  # fmt: skip

    def processes_of_nginx(self) -> list[str]:
        """Process ids, for each load balancer: a reload changes them."""
        fleet = self.fleet
        return [fleet.shell(host, "pgrep -x nginx | sort | xargs") for host in fleet.hosts("load_balancer")]

    def certificates(self) -> list[str]:
        """What each load balancer shows."""
        fleet = self.fleet
        return [
            ssl.get_server_certificate((str(fleet.variable(host, "ansible_host")), 5000))
            for host in fleet.hosts("load_balancer")
        ]

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


def unchanged(operators: Operators) -> str:
    """Run `site.yml` where nothing is to be changed, and say how long that took."""
    begun = time.monotonic()
    try:
        said = operators.play("site.yml")
    except AssertionError as error:
        return f"`site.yml` again, unchanged, failed: {error}"
    seconds, changed = time.monotonic() - begun, sum(map(int, re.findall(r" changed=(\d+)", said)))
    hosts = len(operators.fleet.hosts("gateway"))
    return f"`site.yml` again, unchanged, nobody calling, {hosts} hosts: {seconds:.0f} s, changed={changed}"


def make_release(operators: Operators) -> None:
    """Put another version's images into this machine's engine: the same program, with another label."""
    tag = f"operations-{time.time():.0f}"
    inspect = "docker inspect -f '{{.Config.Image}}' "
    for name, container in (("llm-gateway", "llm-gateway-1"), ("llm-gateway-tools", "llm-gateway-emulator")):
        image = operators.fleet.shell("gateway-1", inspect + container).strip()
        archive = REPOSITORY / f"build/images/{image}.tar.gz"
        if archive.exists() and _docker("image", "inspect", image, check=False).returncode:
            _docker("load", "--quiet", "--input", str(archive))
        _docker(
            "build", "--quiet", "--tag", f"{name}:{tag}", "-", said=f"FROM {image}\nLABEL release={tag}\n"
        )
    # As users do it, in an inventory: with -e it would be the tag of Fluent Bit's image, too.
    images = {"container_image_source": "control", "container_image_tag": tag}
    RELEASE.write_text(json.dumps({"all": {"vars": images}}))
    operators.release, operators.inventories = tag, (*operators.inventories, RELEASE)


def _docker(*words: str, said: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *words], input=said, text=True, check=check, capture_output=True,
        env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )  # fmt: skip


def forget_release(operators: Operators) -> None:
    """Remove the other version's images from this machine."""
    for name in ("llm-gateway", "llm-gateway-tools") if operators.release else ():
        _docker("rmi", f"{name}:{operators.release}", check=False)
        (REPOSITORY / f"build/images/{name}:{operators.release}.tar.gz").unlink(missing_ok=True)
    RELEASE.unlink(missing_ok=True)


def upgrade(operators: Operators) -> None:
    """Another version."""
    operators.play("site.yml")


def configure(operators: Operators) -> None:
    """Another setting of the gateways."""
    environment = {"MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS": "299"}
    operators.play("site.yml", "--tags", "gateway", gateway_environment=environment)


def have_an_earlier_release(operators: Operators) -> None:
    """Where this is tried alone, there is nothing yet to go back to."""
    if "gateway_environment" not in operators.variables:
        configure(operators)


def roll_back(operators: Operators) -> None:
    """The release before."""
    operators.play("playbooks/rollback.yml")
    operators.variables.pop("gateway_environment", None)


def renew_certificates(operators: Operators) -> None:
    """Another certificate on each load balancer, and nothing else: no reload."""
    shown, processes = operators.certificates(), operators.processes_of_nginx()
    days = 400 + int(time.time()) // 60 % 1000  # more than the ones that serve have
    operators.play(
        "site.yml", "--tags", "load_balancer",
        load_balancer_tls_renew_days=days - 1, load_balancer_tls_certificate_days=days,
    )  # fmt: skip
    assert not set(shown) & set(operators.certificates()), "a load balancer kept its certificate"
    assert processes == operators.processes_of_nginx(), "a load balancer was reloaded"


def reload_load_balancers(operators: Operators) -> None:
    """Another setting of nginx: each load balancer is reloaded."""
    processes = operators.processes_of_nginx()
    operators.play("site.yml", "--tags", "load_balancer", load_balancer_max_body_size="31m")
    kept = set(processes) & set(operators.processes_of_nginx())
    assert not kept, "a load balancer was not reloaded"


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
    Change("rollback of all gateways", roll_back, before=have_an_earlier_release),
    REMOVE_HOST,
    Change("upgrade: another image on all hosts", upgrade, before=make_release),
)
