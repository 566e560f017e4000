"""Break a fleet in every way known here, under load, and count.

    make chaos                              # most of an hour; the table goes to docs/reliability.md
    make chaos CHAOS="--only killed --calls 2000"    # some of it; printed only
    make chaos CHAOS="--only killed --write"         # these rows anew, beside the others that stand there

Makes three test hosts, deploys to them and removes them, unless --keep says to leave them for the next time.
Exit codes: 0 nothing is lost, doubled or unexplained; 1 something is; 2 no such fault.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from pathlib import Path

from chaos.faults import FAULTS, Fault
from chaos.hosts import Hosts
from chaos.run import problems, try_faults
from chaos.table import table, versions, write, written
from support.fleet import REPOSITORY, Fleet

PREFIX = "llm-gateway-chaos"
DIRECTORY = REPOSITORY / "build/chaos"
_HOSTS = (
    *("-e", f"test_hosts_directory={DIRECTORY}", "-e", "test_hosts_count=3"),
    *("-e", f"test_hosts_prefix={PREFIX}", "-e", f"test_hosts_network={PREFIX}"),
    *("-e", "test_hosts_subnet=172.30.86.0/24"),
)


def main() -> int:
    """Try the faults, and write down what became of the calls."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--per-second", type=float, default=180.0, help="calls a second; default: %(default)s"
    )
    parser.add_argument(
        "--calls", type=int, default=12000, help="calls a fault at least; default: %(default)s"
    )
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="faults whose name holds this; repeats"
    )
    parser.add_argument(
        "--write", action="store_true", help="with --only: put the rows into the page, beside the others"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no other fault after that")
    parser.add_argument("--keep", action="store_true", help="leave the hosts as they are")
    arguments = parser.parse_args()
    faults = [
        fault for fault in FAULTS if not arguments.only or any(text in fault.name for text in arguments.only)
    ]
    if not faults:
        sys.stderr.write("No such fault. There are:\n" + "".join(f"  {fault.name}\n" for fault in FAULTS))
        return 2
    if not shutil.which("docker"):
        sys.stderr.write("make chaos needs a Docker Engine on this machine: tests/support/ensure_docker.sh\n")
        return 2
    fleet = Fleet(*(REPOSITORY / path for path in ("tests/chaos/inventory", "demo/inventory", DIRECTORY)))
    try:
        return _run(fleet, arguments, faults)
    finally:
        if not arguments.keep:
            fleet.run("ansible-playbook", "-i", "localhost,", "playbooks/test_hosts_remove.yml", *_HOSTS)


def _run(fleet: Fleet, arguments: argparse.Namespace, faults: list[Fault]) -> int:
    fleet.run("ansible-playbook", "-i", "localhost,", "playbooks/test_hosts_create.yml", *_HOSTS)
    # Where the inventory puts the sockets of its connections; ssh does not make it.
    (Path.home() / ".ssh").mkdir(mode=0o700, exist_ok=True)
    hosts = Hosts(fleet, PREFIX)
    # The disk that will be full.
    hosts.small_spool("gateway-1")
    for playbook in ("playbooks/provider_emulator.yml", "site.yml"):
        fleet.run("ansible-playbook", *fleet.inventory_arguments, playbook)
    trials = try_faults(hosts, faults, arguments.per_second, arguments.calls, arguments.minutes)
    if trials:
        page = REPOSITORY / "docs/reliability.md"
        text = table(trials, versions(hosts), before=written(page) if arguments.write else "")
        sys.stdout.write(text + "\n")
        if arguments.write or not arguments.only:
            write(page, text)
    wrong = [problem for trial in trials for problem in problems(trial)]
    wrong += [
        f"{fault.name}: not tried" for fault in faults if fault not in [trial.fault for trial in trials]
    ]
    sys.stdout.write("".join(f"{problem}\n" for problem in wrong) or "nothing lost, nothing doubled\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
