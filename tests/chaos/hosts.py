"""The hosts, as faults reach them: their containers, networks, disks, clocks and power."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import requests

from support.fleet import STORE, Fleet

WHOLE_AGAIN_S = 180
STATE = "/var/lib/llm-gateway/shipper"
STORE_NAME = "llm-gateway-log-store"
_SPOOL = "/var/spool/llm-gateway/requests"
_FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_MARK = "fault-filler"
# libfaketime, preloaded: the time of day can be set, time spans stay true.
_CLOCK = {
    "LD_PRELOAD": "/spool/clock.so",
    "FAKETIME_TIMESTAMP_FILE": "/spool/clock",
    "FAKETIME_NO_CACHE": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "NO_FAKE_STAT": "1",
}


def docker(*arguments: str) -> None:
    """A command of the engine that runs the hosts."""
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=300)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


class Hosts:
    """The hosts of a fleet; `prefix` is what their containers' names begin with."""

    def __init__(self, fleet: Fleet, prefix: str) -> None:
        self.fleet = fleet
        self.store = fleet.hosts("log_store")[0]
        self.store_path = STORE
        self.shipping = sorted({*fleet.hosts("gateway"), *fleet.hosts("load_balancer")} - {self.store})
        self._prefix = prefix

    def shell(self, host: str, command: str) -> str:
        return self.fleet.shell(host, command)

    def address(self, host: str) -> str:
        return str(self.fleet.variable(host, "ansible_host"))

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until it is so, with patience: the machine may be busy."""
        deadline = time.monotonic() + WHOLE_AGAIN_S
        while not condition():
            assert time.monotonic() < deadline, f"not within {WHOLE_AGAIN_S} s: {what}"
            time.sleep(1)

    # ---- containers

    def kill(self, host: str, container: str) -> None:
        """SIGKILL from the host, as the kernel would: the engine starts it again."""
        started = self._started(host, container)
        self.shell(host, f"kill -9 $(docker inspect -f '{{{{.State.Pid}}}}' {container})")
        self.wait(lambda: self._started(host, container) not in ("", started), f"{container} starts again")

    def _started(self, host: str, container: str) -> str:
        found = json.loads(self.shell(host, f"docker inspect {container}"))[0]["State"]
        return str(found["StartedAt"]) if found["Running"] else ""

    def children(self, host: str, container: str) -> list[str]:
        """Process ids of a gateway's workers."""
        command = f"pgrep -P $(docker inspect -f '{{{{.State.Pid}}}}' {container}) || true"
        return self.shell(host, command).split()

    def wait_until_running(self, host: str, container: str) -> None:
        """Wait until a container runs."""
        running = f"docker inspect -f '{{{{.State.Running}}}}' {container}"
        self.wait(lambda: "true" in self.fleet.shell(host, running, False), f"{container} runs")

    def wait_until_healthy(self, host: str, container: str) -> None:
        """Wait until a gateway answers for its health."""
        url = f"http://{self.address(host)}:510{container[-1]}/health"
        self.wait(lambda: _answers(url), f"{container} on {host} is healthy")

    # ---- power

    def power_off(self, host: str) -> None:
        """As a power cut: every process of the host ends at once."""
        docker("kill", "--signal=KILL", self._machine(host))

    def power_on(self, host: str) -> None:
        docker("start", self._machine(host))
        self._wait_for_engine(host)

    def reboot(self, host: str) -> None:
        """Orderly: systemd stops its services."""
        docker("restart", "--time=90", self._machine(host))
        self._wait_for_engine(host)

    def _machine(self, host: str) -> str:
        return f"{self._prefix}-{host.rpartition('-')[2]}"

    def _wait_for_engine(self, host: str) -> None:
        self.wait(lambda: self.fleet.shell(host, "docker ps -q", False).strip(), f"{host} is up")

    # ---- networks

    @contextmanager
    def dropping(self, host: str, rules: list[str]) -> Iterator[None]:
        """Drop on a host what these rules of iptables' raw table match."""
        with ExitStack() as stack:
            for rule in rules:
                self.shell(host, f"iptables -t raw -I {rule} -j DROP")
                stack.callback(self.shell, host, f"iptables -t raw -D {rule} -j DROP")
            yield

    # ---- disks

    @contextmanager
    def full(self, host: str, path: str, but: int = 0) -> Iterator[None]:
        """Fill a file system of its own at `path` to the last byte, or all but so many megabytes."""
        assert "tmpfs" in self.shell(host, f"findmnt -no FSTYPE {path}"), f"{path} is no disk of its own"
        filler = f"{path}/{_MARK}"
        # What is written meanwhile needs room, too; then the last bytes, until there is none.
        free = f"$(($(df -B1 --output=avail {path} | tail -1) - {max(but, 32) << 20}))"
        self.shell(host, f"fallocate -l {free} {filler}")
        if not but:
            self.shell(
                host, f"dd if=/dev/zero of={filler} bs=512 oflag=append conv=notrunc 2>/dev/null || true"
            )
        try:
            yield
        finally:
            self.shell(host, f"rm -f {filler}")

    def small_incoming(self) -> None:
        """Put what the store receives onto a small disk of its own, where it is not yet."""
        if "tmpfs" in self.shell(self.store, f"findmnt -no FSTYPE {STORE}/incoming || true"):
            return
        self._move_incoming(f"mount -t tmpfs -o size=2500m,mode=0751 tmpfs {STORE}/incoming")

    def usual_incoming(self) -> None:
        """Put it back."""
        self._move_incoming(f"umount {STORE}/incoming")

    def _move_incoming(self, mount: str) -> None:
        self.shell(
            self.store,
            f"set -e; systemctl stop llm-gateway-compact.timer; systemctl stop llm-gateway-compact;"
            f" docker stop {STORE_NAME}; rm -rf /var/tmp/incoming; cp -a {STORE}/incoming /var/tmp/incoming;"
            f" {mount}; cp -a /var/tmp/incoming/. {STORE}/incoming/;"
            f" docker start {STORE_NAME}; systemctl start llm-gateway-compact.timer",
        )
        self.wait_until_running(self.store, STORE_NAME)

    def small_spool(self, host: str) -> None:
        """Give a host's request records a disk of their own. Before anything is deployed."""
        self.shell(host, f"mkdir -p {_SPOOL}; findmnt {_SPOOL} || mount -t tmpfs -o size=256m tmpfs {_SPOOL}")

    def spool_files(self) -> set[str]:
        """Names of all files with request records in the hosts' spools."""
        return {
            name
            for host in self.fleet.hosts("gateway")
            for name in self.shell(host, f"ls {_SPOOL}").split()
            if name.endswith(".jsonl")
        }

    def ship_again(self) -> None:
        """Let the shippers send what was written in the last hour once more."""
        for host in self.shipping:
            self.shell(host, "llm-gateway-spool --again 1")

    # ---- changes

    def deploy(self, **environment: str) -> None:
        """`site.yml` for the gateways: this environment, and clocks that can be set."""
        self._bring_clocks()
        self.fleet.run(
            "ansible-playbook", *self.fleet.inventory_arguments, "site.yml", "--tags", "gateway",
            "-e", json.dumps({"gateway_environment": _CLOCK | environment}),
        )  # fmt: skip

    def roll_back(self, host: str) -> None:
        """`rollback.yml` for one host."""
        self.fleet.run(
            "ansible-playbook", *self.fleet.inventory_arguments, "playbooks/rollback.yml", "--limit", host
        )

    # ---- clocks

    def give_clocks(self) -> None:
        """Deploy clocks that can be set, where there are none."""
        for host in self.fleet.hosts("gateway"):
            for container in ("llm-gateway-1", "llm-gateway-2"):
                if "FAKETIME" not in self.shell(host, f"docker inspect {container}"):
                    self.deploy()
                    return

    def _bring_clocks(self) -> None:
        for host in self.fleet.hosts("gateway"):
            self.shell(
                host,
                f"set -e; test -e {_FAKETIME} || (apt-get -qq update && apt-get -qqy install libfaketime"
                f" >/dev/null); cp {_FAKETIME} {_SPOOL}/clock.so.new; chmod 0644 {_SPOOL}/clock.so.new;"
                # Never into the file itself: that ends every process that has it mapped.
                f" mv {_SPOOL}/clock.so.new {_SPOOL}/clock.so",
            )
        self.set_clock(0)

    def set_clock(self, offset_s: float) -> None:
        """Set the gateways' clocks so much ahead; below zero, behind."""
        for host in self.fleet.hosts("gateway"):
            self.shell(
                host,
                f"printf '%+d' {offset_s:.0f} > {_SPOOL}/clock.new; chmod 0644 {_SPOOL}/clock.new;"
                f" mv {_SPOOL}/clock.new {_SPOOL}/clock",
            )
