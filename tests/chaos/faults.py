"""What is done to the fleet. A fault is over when the fleet is whole again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.hosts import STATE, STORE_NAME, Hosts


@dataclass(frozen=True)
class Fault:
    """One kind of fault. `strike` gets the number of the strike: 0, 1, 2 ..."""

    name: str
    strike: Callable[[Hosts, int], None]
    times: int = 3
    graceful: bool = False
    """Callers must not notice."""
    before: Callable[[Hosts], None] | None = None
    after: Callable[[Hosts], None] | None = None


def _gateway(number: int) -> tuple[str, str]:
    return f"gateway-{1 + number % 2}", f"llm-gateway-{1 + number // 2 % 2}"


def kill_gateway(hosts: Hosts, number: int) -> None:
    """SIGKILL to the first process of a gateway's container, and so to all of them."""
    host, container = _gateway(number)
    hosts.kill(host, container)
    hosts.wait_until_healthy(host, container)


def kill_worker(hosts: Hosts, number: int) -> None:
    """SIGKILL to one worker process; its container goes on with another."""
    host, container = _gateway(number)
    before = hosts.children(host, container)
    hosts.shell(host, f"kill -9 {random.choice(before)}")
    hosts.wait(
        lambda: len(set(hosts.children(host, container)) - set(before)) > 0, f"a new worker in {container}"
    )
    hosts.wait_until_healthy(host, container)


def end_worker(hosts: Hosts, number: int) -> None:
    """Every worker of a container is replaced, as on SIGHUP."""
    host, container = _gateway(number)
    before = hosts.children(host, container)
    # `docker kill` would do more: Docker leaves a container that it signalled stopped after a reboot.
    hosts.shell(host, f"kill -HUP $(docker inspect -f '{{{{.State.Pid}}}}' {container})")
    hosts.wait(lambda: not set(hosts.children(host, container)) & set(before), f"new workers in {container}")
    hosts.wait_until_healthy(host, container)


def kill_shipper(hosts: Hosts, number: int) -> None:
    """SIGKILL to the Fluent Bit that ships."""
    hosts.kill(hosts.shipping[number % 2], "llm-gateway-log-shipper")


def kill_receiver(hosts: Hosts, _: int) -> None:
    """SIGKILL to the Fluent Bit that receives."""
    hosts.kill(hosts.store, "llm-gateway-log-store")


def kill_compactor(hosts: Hosts, _: int) -> None:
    """SIGKILL to a compaction, some time after it began."""
    hosts.shell(hosts.store, "systemctl start --no-block llm-gateway-compact")
    hosts.wait(
        lambda: hosts.shell(hosts.store, "docker ps -q --filter name=^llm-gateway-compact$"),
        "a compaction that runs",
    )
    time.sleep(random.uniform(0, 2))
    hosts.shell(
        hosts.store, "docker kill --signal=KILL llm-gateway-compact || true; systemctl reset-failed || true"
    )


def stop_store(hosts: Hosts, _: int) -> None:
    """The store's host is cut off from power for over two minutes."""
    hosts.power_off(hosts.store)
    time.sleep(125)
    hosts.power_on(hosts.store)
    hosts.wait_until_running(hosts.store, STORE_NAME)


def reboot_gateway_host(hosts: Hosts, number: int) -> None:
    """A gateway's host is shut down and started again; every second time its power is cut."""
    host = "gateway-2"
    if number % 2:
        hosts.power_off(host)
        hosts.power_on(host)
    else:
        hosts.reboot(host)
    for container in ("llm-gateway-1", "llm-gateway-2"):
        hosts.wait_until_healthy(host, container)


def cut_store_off(hosts: Hosts, number: int, seconds: float = 20) -> None:
    """No packet passes between a shipping host and the store for so long."""
    host = hosts.shipping[number % 2]
    address = hosts.address(hosts.store)
    rules = [f"PREROUTING -s {address}", f"PREROUTING -d {address}", f"OUTPUT -d {address}"]
    with hosts.dropping(host, rules):
        time.sleep(seconds)


def cut_gateway_off(hosts: Hosts, _: int) -> None:
    """No packet passes between the load balancer and the gateways of another host for 10 seconds."""
    balancer, ports = hosts.address("gateway-1"), "-p tcp -m multiport"
    there = [f"PREROUTING -s {balancer} {ports} --dports 5101,5102"]
    back = [f"PREROUTING -s {hosts.address('gateway-2')} {ports} --sports 5101,5102"]
    with hosts.dropping("gateway-2", there), hosts.dropping("gateway-1", back):
        time.sleep(10)


def fill_spool(hosts: Hosts, _: int) -> None:
    """The disk of a gateway's spool is full for 10 seconds."""
    with hosts.full("gateway-1", "/var/spool/llm-gateway/requests"):
        time.sleep(10)


def nearly_fill_store(hosts: Hosts, _: int) -> None:
    """Less than its reserve is free on the disk of the store's incoming files, for 15 seconds."""
    halted = "docker inspect -f '{{.State.Paused}}' " + STORE_NAME
    with hosts.full(hosts.store, f"{hosts.store_path}/incoming", but=48):
        hosts.wait(lambda: "true" in hosts.shell(hosts.store, halted), "the receiver is halted")
        time.sleep(15)
    hosts.wait(lambda: "false" in hosts.shell(hosts.store, halted), "the receiver goes on")


def fill_store_at_once(hosts: Hosts, _: int) -> None:
    """The disk of the store's incoming files is full from one moment to the next, for 15 seconds."""
    with hosts.full(hosts.store, f"{hosts.store_path}/incoming"):
        time.sleep(15)
    hosts.wait_until_running(hosts.store, STORE_NAME)
    hosts.ship_again()


def lose_shipper_state(hosts: Hosts, number: int) -> None:
    """The shipper is killed, and loses its buffer and how far it had read."""
    host = hosts.shipping[number % 2]
    shipper = "llm-gateway-log-shipper"
    hosts.shell(host, f"docker kill --signal=KILL {shipper}; rm -rf {STATE}/*; docker start {shipper}")


def deploy(hosts: Hosts, number: int) -> None:
    """A changed environment: every container is replaced."""
    hosts.deploy(MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS=str(290 + number))


def roll_back(hosts: Hosts, number: int) -> None:
    """The containers before the last change serve again."""
    hosts.roll_back(f"gateway-{2 - number % 2}")


def change_hour(hosts: Hosts, number: int) -> None:
    """The gateways' clocks pass from one hour to the next: every worker begins a new file."""
    before = hosts.spool_files()
    # Three seconds before the hour, and each time an hour further on.
    hosts.set_clock(3600 - time.time() % 3600 - 3 + 3600 * number)
    hosts.wait(lambda: len(hosts.spool_files() - before) >= 4, "new files in the spools")
    time.sleep(3)


def step_clock_back(hosts: Hosts, _: int) -> None:
    """The gateways' clocks are an hour behind for 10 seconds."""
    hosts.set_clock(-3600)
    time.sleep(10)
    hosts.set_clock(0)
    time.sleep(2)


def break_the_way(hosts: Hosts, number: int) -> None:
    """All that stands between a caller and the store breaks, one after the other, within a few seconds."""
    kill_gateway(hosts, 1)
    kill_shipper(hosts, number)
    kill_receiver(hosts, number)
    cut_store_off(hosts, number, seconds=5)


IN_SHORT = Fault("gateway and both Fluent Bits killed, network cut for 5 s", break_the_way, times=1)

FAULTS = (
    Fault("gateway container killed", kill_gateway, times=3),
    Fault("worker process killed", kill_worker, times=3),
    Fault("workers replaced (SIGHUP)", end_worker, times=3, graceful=True),
    Fault("Fluent Bit killed on a gateway's host", kill_shipper, times=3),
    Fault("Fluent Bit killed on the store's host", kill_receiver, times=3),
    Fault("compaction killed", kill_compactor, times=3, graceful=True),
    Fault("network cut, gateway's host to store, 20 s", cut_store_off, times=2, graceful=True),
    Fault("network cut, load balancer to gateways, 10 s", cut_gateway_off),
    Fault("store's host off for 125 s", stop_store, times=2, graceful=True),
    Fault("shipper's buffer and offsets lost", lose_shipper_state, times=3, graceful=True),
    Fault(
        "store's disk nearly full, 15 s",
        nearly_fill_store,
        graceful=True,
        before=lambda hosts: hosts.small_incoming(),
    ),
    Fault(
        "store's disk full at once, 15 s; spools shipped again",
        fill_store_at_once,
        times=2,
        graceful=True,
        before=lambda hosts: hosts.small_incoming(),
        after=lambda hosts: hosts.usual_incoming(),
    ),
    Fault("gateway's host rebooted, or its power cut", reboot_gateway_host),
    # From here on the gateways' clocks can be set.
    Fault("rolling deployment", deploy, times=2, graceful=True),
    Fault("rollback", roll_back, times=2, graceful=True),
    Fault("spool's disk full, 10 s", fill_spool, graceful=True),
    Fault(
        "hour changes: spool files rotate",
        change_hour,
        times=3,
        graceful=True,
        before=lambda hosts: hosts.give_clocks(),
        after=lambda hosts: hosts.set_clock(0),
    ),
    Fault(
        "clock an hour back for 10 s, and forth",
        step_clock_back,
        graceful=True,
        before=lambda hosts: hosts.give_clocks(),
    ),
)
