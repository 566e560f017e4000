"""Change a fleet in every ordinary way while it is called, and count what its callers noticed.

    make operations-under-load                       # half an hour; the table goes to docs/operations.md
    make operations-under-load OPERATIONS="--only renewed --only reloaded"    # some of it; printed only
    make operations-under-load OPERATIONS="--help"

Two hosts, both load balancers with TLS, and a third one that comes and goes: test hosts of its own, removed
at the end unless --keep says to leave them for the next time.
Exit codes: 0 nobody noticed anything; 1 somebody did, or there were too few calls; 2 no such change.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chaos.callers import Callers, Pace, calling
from chaos.hosts import Hosts
from chaos.table import versions, write
from chaos.witness import Account, Witness
from operations.changes import ADD_HOST, CHANGES, REMOVE_HOST, Change, Operators, forget_release, unchanged
from support.fleet import REPOSITORY

PREFIX = "llm-gateway-operations"
BALANCERS = ("gateway-1", "gateway-2")
_HEAD = (
    "change", "seconds", "calls", "a second", "streams", "longest stream, s",
    "**failed**", "**cut**", "**at the provider twice**", "**records lost**", "**records doubled**",
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """A change, and what became of the calls made meanwhile."""

    change: Change
    at: datetime
    seconds: float
    callers: Callers
    per_second: float
    account: Account
    twice: int
    """Calls that the provider got beyond one for each call and each case that judged the change."""
    trouble: str = ""
    """Why the change could not be made; empty where it was."""

    def row(self) -> list[str]:
        account = self.account
        numbers = (account.failed, account.cut, self.twice, account.lost, account.doubled)
        return [
            self.change.name, f"{self.seconds:.0f}", f"{account.calls:,}", f"{self.per_second:.0f}",
            f"{account.streams:,}", f"{self.callers.longest_stream_s:.1f}", *map(str, numbers),
        ]  # fmt: skip

    def problems(self, per_second: float) -> list[str]:
        """What must not be."""
        account, found = self.account, [self.trouble] if self.trouble else []
        for number, what in (
            (account.failed, "failed"), (account.cut, "cut"), (self.twice, "twice at the provider"),
            (account.lost, "records lost"), (account.doubled, "records doubled"),
        ):  # fmt: skip
            if number:
                found.append(f"{number} {what}")
        if self.callers.complaints:
            found.append(str(dict(self.callers.complaints)))
        if self.per_second < 0.98 * per_second:
            found.append(f"only {self.per_second:.0f} calls a second")
        return [f"{self.change.name}: {problem}" for problem in found]


def judged(operators: Operators, since: float) -> int:
    """Calls with which changes were judged since then (Unix seconds)."""
    files = f"find /var/lib/llm-gateway/canary -name '*.json' -newermt @{since:.0f} 2>/dev/null || true"
    return sum(
        int(json.loads(operators.fleet.shell(host, f"cat {file}"))["summary"]["requests"])
        for host in operators.fleet.hosts("gateway")
        for file in operators.fleet.shell(host, files).split()
    )


def try_change(operators: Operators, change: Change, pace: Pace) -> Trial:
    """Make the change while calls are made, and count."""
    if change.before:
        change.before(operators)
    fleet = operators.fleet
    authority = fleet.shell("gateway-2", "cat /etc/llm-gateway/load_balancer/ca.crt")
    urls = [f"https://{fleet.variable(host, 'ansible_host')}:5000" for host in BALANCERS]
    witness = Witness(Hosts(fleet, PREFIX))
    served, at, begun = witness.served(), datetime.now(UTC), time.time()
    trusted = ssl.create_default_context(cadata=authority)
    with calling(urls, f"{int(begun):x}-", pace, trusted) as callers:
        time.sleep(25)  # until streams of every length are under way
        changed, trouble = time.monotonic(), ""
        try:
            change.make(operators)
        except AssertionError as error:  # the others are tried all the same
            trouble = str(error)
        took = time.monotonic() - changed
        time.sleep(5)
        lasted = time.time() - begun
    received = witness.served() - served
    account = witness.account(callers, received)
    twice = max(0, received - account.calls - judged(operators, begun))
    return Trial(change, at, took, callers, account.calls / lasted, account, twice, trouble)


def table(trials: list[Trial], made_with: str, idle: str) -> str:
    """The rows, with date and versions, and what an unchanged run took."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(trial.row() for trial in trials)]
    when = f"{trials[0].at:%Y-%m-%d %H:%M} to {datetime.now(UTC):%H:%M} UTC"
    return "\n".join(
        [
            *("| " + " | ".join(line) + " |" for line in lines),
            "",
            f"{when}; {made_with}.",
            *(["", f"{idle}."] if idle else []),
        ]
    )


def main() -> int:
    """Try the changes, and write down what became of the calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--per-second", type=float, default=210.0, help="calls a second; default: %(default)s"
    )
    parser.add_argument(
        "--only", action="append", metavar="TEXT",
        help="changes whose name holds this; repeats. There are: " + "; ".join(each.name for each in CHANGES),
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave the hosts as they are")
    parser.add_argument(
        "--as-is", action="store_true", help="take kept hosts as they are, deploy nothing first"
    )
    parser.add_argument(
        "--hosts", type=Path, default=REPOSITORY / "build/operations", help="where they are noted"
    )
    arguments = parser.parse_args()
    only = arguments.only or [""]
    changes = [change for change in CHANGES if any(text in change.name for text in only)]
    if not changes:
        sys.stderr.write("No such change. There are:\n" + "".join(f"  {known.name}\n" for known in CHANGES))
        return 2
    operators = Operators(
        (REPOSITORY / "tests/operations/inventory", REPOSITORY / "demo/inventory", arguments.hosts)
    )
    own = [
        *("-i", "localhost,", "-e", f"test_hosts_directory={arguments.hosts}", "-e", "test_hosts_count=3"),
        *("-e", f"test_hosts_prefix={PREFIX}", "-e", f"test_hosts_network={PREFIX}"),
        *("-e", "test_hosts_subnet=172.30.85.0/24"),
    ]
    try:
        if not (arguments.hosts / "hosts.yml").exists():
            operators.fleet.run("ansible-playbook", "playbooks/test_hosts_create.yml", *own)
        return _run(operators, changes, arguments)
    finally:
        forget_release(operators)
        if not arguments.keep:
            operators.fleet.run("ansible-playbook", "playbooks/test_hosts_remove.yml", *own)


def _run(operators: Operators, changes: list[Change], arguments: argparse.Namespace) -> int:
    if CHANGES.index(ADD_HOST) < CHANGES.index(changes[0]) <= CHANGES.index(REMOVE_HOST):
        operators.add_third_host()
    if not arguments.as_is:
        operators.play("playbooks/provider_emulator.yml")
        operators.play("site.yml")
    # Streams of 4, 8 ... 20 seconds.
    pace = Pace(arguments.per_second, one_stream_in=5, tokens=5, pause_s=0.8)
    made_with = versions(Hosts(operators.fleet, PREFIX))
    trials: list[Trial] = []
    idle = ""
    for change in changes:
        trials.append(try_change(operators, change, pace))
        if change is ADD_HOST:
            idle = unchanged(operators)
        sys.stdout.write(" | ".join(trials[-1].row()) + "\n")
        sys.stdout.write("".join(f"{problem}\n" for problem in trials[-1].problems(200)))
        sys.stdout.write(f"{idle}\n" if change is ADD_HOST else "")
        sys.stdout.flush()
        if not arguments.only:
            text = table(trials, made_with, idle)
            write(REPOSITORY / "docs/operations.md", text, "make operations-under-load")
    return 1 if any(trial.problems(200) for trial in trials) else 0


if __name__ == "__main__":
    sys.exit(main())
