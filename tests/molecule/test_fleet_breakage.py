"""Calls while the fleet breaks: `make chaos` in short. Runs after test_fleet.py, on the same hosts."""

from chaos.faults import IN_SHORT
from chaos.hosts import Hosts
from chaos.run import try_fault
from chaos.witness import Witness
from support.fleet import Fleet


def test_every_call_is_counted_once_whatever_is_killed(fleet: Fleet) -> None:
    hosts = Hosts(fleet, "llm-gateway-fleet")

    trial = try_fault(hosts, Witness(hosts), IN_SHORT, per_second=60, calls=500)

    assert trial.account.answered > 400, trial.complaints
    assert (trial.account.lost, trial.account.doubled) == (0, 0), trial.account
