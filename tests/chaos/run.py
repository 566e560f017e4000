"""One fault after another under load, and what became of the calls."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chaos.callers import Pace, calling
from chaos.faults import Fault
from chaos.hosts import Hosts
from chaos.witness import Account, Witness


@dataclass(frozen=True)
class Trial:
    """A fault, how often it struck, when, and the account of the calls made meanwhile."""

    fault: Fault
    since: datetime
    until: datetime
    account: Account
    complaints: dict[str, int]


def try_fault(hosts: Hosts, witness: Witness, fault: Fault, per_second: float, calls: int) -> Trial:
    """Let the fault strike under load, go on until `calls` are made, and count."""
    if fault.before:
        fault.before(hosts)
    served, since = witness.served(), datetime.now(UTC)
    with calling([hosts.fleet.base_url], f"{int(time.time()):x}-", Pace(per_second)) as callers:
        time.sleep(1)
        for number in range(fault.times):
            fault.strike(hosts, number)
            time.sleep(2)
        while len(callers.outcomes) < calls:
            time.sleep(0.5)
    until = datetime.now(UTC)
    account = witness.account(callers, witness.served() - served)
    if fault.after:
        fault.after(hosts)
    return Trial(fault, since, until, account, dict(callers.complaints))


def problems(trial: Trial) -> list[str]:
    """What the trial shows that must not be."""
    found, account = [], trial.account
    if account.lost:
        found.append(f"{account.lost} lost")
    if account.doubled:
        found.append(f"{account.doubled} doubled")
    if account.unexplained:
        found.append(f"{account.unexplained} unexplained")
    if trial.fault.graceful and account.failed + account.cut:
        found.append(
            f"{account.failed} failed and {account.cut} cut, and callers should have noticed nothing"
        )
    return [f"{trial.fault.name}: {problem}" for problem in found]


def try_faults(
    hosts: Hosts, faults: Iterable[Fault], per_second: float, calls: int, minutes: float = math.inf
) -> list[Trial]:
    """Try each fault and tell how it went; at the end let verify explain them all.

    After so many minutes no other fault is begun. One that could not be brought about or undone is left out.
    """
    witness, trials, began = Witness(hosts), [], time.monotonic()
    for fault in faults:
        if time.monotonic() - began > 60 * minutes:
            sys.stderr.write(f"not tried, for want of time: {fault.name}\n")
            continue
        try:
            trial = try_fault(hosts, witness, fault, per_second, calls)
        except AssertionError as error:
            sys.stderr.write(f"{fault.name}: {error}\n")
            continue
        trials.append(trial)
        sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {fault.name}: {trial.account} {trial.complaints}\n")
    return [
        replace(trial, account=witness.explain(trial.account, trial.since, trial.until)) for trial in trials
    ]
