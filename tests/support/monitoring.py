"""Prometheus on loopback with the role's configuration, and all that it scrapes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from support.analytics_store import run
from support.certificates import certificate_for
from support.emulator import running_emulator
from support.fleet import wait_until
from support.gateway import Gateway, openai_endpoint, running_gateway
from support.load_balancer import free_port, gateways, load_balancer
from support.roles import ROLES, Role

PROGRAMS = (
    "nginx",
    "promtool",
    "prometheus",
    "prometheus-node-exporter",
    "prometheus-nginx-exporter",
    "prometheus-blackbox-exporter",
)
FILES = ROLES / "monitoring/files"
FLUENT_BIT = Path(__file__).parents[1] / "integration/monitoring/fluent_bit_metrics.txt"


def missing_programs() -> list[str]:
    """Programs of Debian's packages that are not on this machine."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    return [name for name in PROGRAMS if not shutil.which(name, path=path)]


def host_metrics(directory: Path, *arguments: str) -> str:
    """What llm-gateway-metrics writes into a directory."""
    output = directory / "llm_gateway.prom"
    subprocess.run(
        ["/usr/bin/python3", "-I", str(FILES / "llm-gateway-metrics"), "--output", str(output), *arguments],
        check=True,
    )
    return output.read_text()


@dataclass
class Watched:
    """A gateway behind a load balancer, and the Prometheus that watches them."""

    prometheus: str
    gateway: Gateway

    def query(self, expression: str) -> list[Any]:
        """The samples that an expression has now; one that Prometheus cannot read fails the test."""
        answer = requests.get(f"{self.prometheus}/api/v1/query", params={"query": expression}, timeout=10)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        result: list[Any] = answer.json()["data"]["result"]
        return result

    def metrics(self) -> set[str]:
        """Names of all metrics that were ever scraped."""
        answer = requests.get(f"{self.prometheus}/api/v1/label/__name__/values", timeout=10)
        return set(answer.json()["data"])

    def call(self) -> None:
        """Make calls of each kind: answered, streamed, refused by the provider."""
        self.gateway.chat("hello")
        _ = self.gateway.chat("hello", stream=True).content
        self.gateway.chat("[emulator:status=500]")


@contextmanager
def watched(directory: Path) -> Iterator[Watched]:
    """Start everything, and wait until everything was scraped."""
    with ExitStack() as stack:
        provider = stack.enter_context(running_emulator())
        gateway = stack.enter_context(
            running_gateway({"endpoints": [openai_endpoint("chat", provider.openai_url)]})
        )
        (directory / "nginx").mkdir()
        balancer = stack.enter_context(
            load_balancer(
                directory / "nginx",
                f"127.0.0.1:{gateway.port}",
                certificate=certificate_for(directory, "127.0.0.1"),
            )
        )
        page = FLUENT_BIT.read_text()
        (fluent_bit,) = stack.enter_context(gateways(lambda handler: handler.reply(page)))
        (directory / "store/incoming/requests").mkdir(parents=True)
        (directory / "store/incoming/requests/requests-a.jsonl").write_text("{}\n")
        (directory / "textfiles").mkdir()
        told = host_metrics(
            directory / "textfiles",
            f"--store={directory}/store",
            f"--fluent-bit=store=http://{fluent_bit.address}",
        )
        # No shipper runs here, whose spool there would be to tell of.
        (directory / "textfiles/llm_gateway.prom").write_text(f"{told}llm_gateway_spool_unread_bytes 0\n")
        (directory / "budgets.yml").write_text('schema_version: 1\nbudgets:\n  - {limit_usd: "100.00"}\n')
        asked = run(
            directory / "store",
            "budget",
            f"--budgets={directory}/budgets.yml",
            f"-o{directory}/textfiles/budgets.prom",
        )
        assert asked.exit_code == 0, asked.output
        ports = [free_port() for _ in range(4)]
        host_port, nginx_port, prober_port, port = ports
        role = Role(
            "monitoring",
            monitoring_gateways={"host-1": [f"127.0.0.1:{gateway.port}"]},
            monitoring_load_balancers={"host-1": balancer.url},
            monitoring_hosts={"host-1": "127.0.0.1"},
            monitoring_interval="1s",
            monitoring_port=port,
            monitoring_host_port=host_port,
            monitoring_nginx_port=nginx_port,
            _monitoring_prober_port=prober_port,
            _monitoring_config_path=str(directory),
        )
        (directory / "prometheus.yml").write_text(role.render("prometheus.yml.j2"))
        (directory / "rules").mkdir()
        shutil.copy(FILES / "alerts.yml", directory / "rules/fleet.yml")
        commands: list[tuple[list[str], dict[str, str]]] = [
            (
                [
                    "prometheus-node-exporter",
                    f"--web.listen-address=127.0.0.1:{host_port}",
                    f"--collector.textfile.directory={directory}/textfiles",
                ],
                {},
            ),
            (
                ["prometheus-nginx-exporter"],
                {
                    "SCRAPE_URI": f"{balancer.url}/load_balancer/status",
                    "LISTEN_ADDRESS": f"127.0.0.1:{nginx_port}",
                    "SSL_VERIFY": "false",
                },
            ),
            (
                [
                    "prometheus-blackbox-exporter",
                    f"--config.file={FILES}/prober.yml",
                    f"--web.listen-address=127.0.0.1:{prober_port}",
                ],
                {},
            ),
            (
                [
                    "prometheus",
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                {},
            ),
        ]
        log = stack.enter_context((directory / "log").open("wb"))
        for command, variables in commands:
            process = subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        running = Watched(f"http://127.0.0.1:{port}", gateway)
        wait_until(lambda: _all_up(running), 60, f"Prometheus sees everything; see {directory}/log")
        yield running


def _all_up(running: Watched) -> bool:
    try:
        up = running.query("up")
        return len(up) == 4 and all(sample["value"][1] == "1" for sample in up)
    except (requests.ConnectionError, AssertionError):
        return False
