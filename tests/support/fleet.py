"""A deployed fleet of test hosts, as a test sees it: addresses, shells, calls through the load balancer."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

REPOSITORY = Path(__file__).resolve().parents[2]
STORE = "/var/lib/llm-gateway/store"
ANSIBLE_LOG = REPOSITORY / "build/molecule_fleet.log"  # what molecule's runs said, with -vvv
CUT = 0  # the status of an answer that began and did not come to its end


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true value of `condition`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def molecule(command: str) -> str:
    """Run a step of the scenario and return what it printed."""
    ANSIBLE_LOG.parent.mkdir(exist_ok=True)
    environment = os.environ | {
        "MOLECULE_GLOB": "tests/molecule/*/molecule.yml",
        "NO_COLOR": "1",
        "ANSIBLE_LOG_PATH": str(ANSIBLE_LOG),
        "ANSIBLE_VERBOSITY": "3",
    }
    done = subprocess.run(
        ["molecule", command, "-s", "fleet"],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"molecule {command} exited {done.returncode}\n{done.stdout[-8000:]}")
    return done.stdout


@dataclass(frozen=True)
class Answer:
    """What a caller got: HTTP status (`CUT` where it ended too early), request id, and the answer's text."""

    status: int
    request_id: str | None
    text: str


class Fleet:
    """The hosts of one or more inventories, reached by the connection details in them."""

    def __init__(self, *inventories: Path) -> None:
        self.inventories = inventories

    @property
    def inventory_arguments(self) -> list[str]:
        return [argument for path in self.inventories for argument in ("-i", str(path))]

    @cached_property
    def _inventory(self) -> dict[str, Any]:
        listing = self.run("ansible-inventory", *self.inventory_arguments, "--list")
        inventory: dict[str, Any] = json.loads(listing.stdout)
        return inventory

    def hosts(self, group: str) -> list[str]:
        """Names of the hosts in a group, sorted."""
        return sorted(self._inventory.get(group, {}).get("hosts", []))

    def variable(self, host: str, name: str) -> Any:
        return self._inventory["_meta"]["hostvars"][host][name]

    def forget(self) -> None:
        """Read the inventories again: hosts came or went."""
        self.__dict__.pop("_inventory", None)

    @property
    def base_url(self) -> str:
        """Address of the first load balancer."""
        return f"http://{self.variable(self.hosts('load_balancer')[0], 'ansible_host')}:5000"

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command from `ansible/`, as a user would; a failure shows the end of what it printed."""
        done = subprocess.run(
            command, cwd=REPOSITORY / "ansible", text=True, capture_output=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(
                f"{shlex.join(command)} exited {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
            )
        return done

    def shell(self, host: str, command: str, check: bool = True) -> str:
        """Run a shell command on a host over SSH and return what it printed."""
        variables = self._inventory["_meta"]["hostvars"][host]
        key = variables.get("ansible_ssh_private_key_file")
        extra = shlex.split(
            variables.get("ansible_ssh_common_args", "") + " " + variables.get("ansible_ssh_extra_args", "")
        )
        target = f"{variables.get('ansible_user', 'root')}@{variables['ansible_host']}"
        done = self.run("ssh", *(["-i", key] if key else []), *extra, target, command, check=check)
        return done.stdout

    def containers(self, host: str) -> dict[str, tuple[str, str]]:
        """Container name to (id, start time) on a host."""
        lines = self.shell(
            host, "docker ps -q | xargs -r docker inspect -f '{{.Name}} {{.Id}} {{.State.StartedAt}}'"
        ).splitlines()
        return {
            name.lstrip("/"): (identity, started)
            for name, identity, started in (line.split() for line in lines)
        }

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All records of a kind (requests, access) in the store, read without the product's own reader."""
        # A record ends with a brace; a line that does not is being written right now.
        whole = f"cd {STORE}/incoming/{kind} && grep -h '}}$' *.jsonl || true"
        text = self.shell(self.hosts("log_store")[0], whole)
        return [json.loads(line) for line in text.splitlines()]

    def call(
        self, content: str = "What is AI?", *, stream: bool = False, session: requests.Session | None = None
    ) -> Answer:
        """One chat call through the load balancer; a streamed one is read to its end."""
        post = (session or requests).post
        body = {"messages": [{"role": "user", "content": content}], "stream": stream}
        with post(
            f"{self.base_url}/gateway/chat/invocations", json=body, stream=stream, timeout=60
        ) as response:
            request_id = response.headers.get("X-Request-ID")
            try:
                return Answer(response.status_code, request_id, response.text)
            except requests.exceptions.ChunkedEncodingError as error:
                return Answer(CUT, request_id, str(error))

    def calls(self, count: int, concurrency: int = 8) -> list[Answer]:
        """`count` chat calls, every second one streamed."""

        def some(worker: int) -> list[Answer]:
            with requests.Session() as session:
                return [
                    self.call(f"Say the number {number}.", stream=number % 2 == 1, session=session)
                    for number in range(worker, count, concurrency)
                ]

        with ThreadPoolExecutor(concurrency) as pool:
            return [answer for answers in pool.map(some, range(concurrency)) for answer in answers]
