"""What the emulator served and what the store holds, beside what the callers saw."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from chaos.callers import ANSWERED, CUT, FAILED, Callers
from chaos.hosts import Hosts
from support.fleet import wait_until

ARRIVAL_S = 180
SPOOL = "llm-gateway-spool"
_SETTLED = timedelta(seconds=65)


@dataclass(frozen=True)
class Account:
    """What became of the calls that were made while something failed."""

    calls: int
    streams: int
    answered: int
    failed: int
    cut: int
    served: int
    """Calls that reached the provider, as the emulator counts them."""
    recorded: int
    """Calls with their one final record."""
    lost: int
    """Calls that were answered and have no record, or for which verify has no explanation."""
    doubled: int
    """Calls with more than one final record."""
    unrecorded: int
    """Calls without a record, which their callers were not answered."""
    in_flight: int = 0
    before_gateway: int = 0

    @property
    def unexplained(self) -> int:
        """Calls without a record beyond those that verify explains."""
        return max(0, self.unrecorded - self.lost - self.in_flight - self.before_gateway)


class Witness:
    """Asks the emulator and the store."""

    def __init__(self, hosts: Hosts, emulator_host: str = "gateway-1") -> None:
        self._fleet = fleet = hosts.fleet
        self._emulator = f"http://{fleet.variable(emulator_host, 'ansible_host')}:5999"
        self._store, self._shipping = hosts.store, hosts.shipping

    def served(self) -> int:
        """Calls that the emulator has received."""
        return int(requests.get(f"{self._emulator}/emulator/stats", timeout=30).json()["received"])

    def ask(self, *words: str) -> Any:
        """The JSON answer of gateway-analytics on the store's host."""
        answer = self._fleet.shell(self._store, shlex.join(["gateway-analytics", *words, "--format", "json"]))
        return json.loads(answer)

    def finals(self, prefix: str) -> Counter[str]:
        """How many final records each call has whose name begins so."""
        rows = self.ask(
            "query",
            f"SELECT end_user, count(*) AS n FROM requests WHERE final AND starts_with(end_user, '{prefix}')"
            " GROUP BY end_user",
        )["rows"]
        return Counter({row["end_user"]: int(row["n"]) for row in rows})

    def wait_until_shipped(self) -> None:
        """Wait until every host says that all of its spool is in the store."""
        for host in self._shipping:
            wait_until(
                lambda host=host: "nothing waits" in self._fleet.shell(host, f"{SPOOL} || true"),
                ARRIVAL_S,
                f"all of {host}'s spool is shipped",
            )

    def account(self, callers: Callers, served: int) -> Account:
        """Compare callers, emulator and store, once everything had the time to arrive."""
        self.wait_until_shipped()
        answered = {name for name, outcome in callers.outcomes.items() if outcome == ANSWERED}
        # Where one does not arrive, the account says it.
        with contextlib.suppress(AssertionError):
            wait_until(
                lambda: answered <= self.finals(callers.prefix).keys(), 60, "every answered call's record"
            )
        finals = self.finals(callers.prefix)
        return Account(
            calls=len(callers.outcomes),
            streams=callers.streams,
            answered=len(answered),
            failed=callers.count(FAILED),
            cut=callers.count(CUT),
            served=served,
            recorded=sum(1 for count in finals.values() if count == 1),
            unrecorded=sum(1 for name in callers.outcomes if name not in finals),
            lost=len(answered - finals.keys()),
            doubled=sum(1 for count in finals.values() if count > 1),
        )

    def explain(self, account: Account, since: datetime, until: datetime) -> Account:
        """Add what verify says of this time. It judges only what is over for a minute: wait so long."""
        wait_until(lambda: datetime.now(UTC) - until > _SETTLED, 120, "a minute has passed")
        found = self.ask(
            "verify", "--since", since.isoformat(), "--until", until.isoformat(),
            "--settle", "1m", "--overdue", "1m",
        )["totals"]  # fmt: skip
        in_flight, before_gateway, lost = (
            int(found[name]) for name in ("in_flight", "before_gateway", "lost")
        )
        return replace(
            account, in_flight=in_flight, before_gateway=before_gateway, lost=max(account.lost, lost)
        )
