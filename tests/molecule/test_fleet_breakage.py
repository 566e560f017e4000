"""Calls while parts of the fleet are killed: `make chaos` in short. Runs on the hosts of test_fleet.py."""

import pytest

from chaos.faults import GATEWAY_KILLED, RECEIVER_KILLED, SHIPPER_KILLED, Fault
from chaos.hosts import Hosts
from chaos.run import problems, try_faults
from support.fleet import Fleet


@pytest.mark.long
@pytest.mark.parametrize(
    "fault", [GATEWAY_KILLED, SHIPPER_KILLED, RECEIVER_KILLED], ids=lambda fault: fault.name
)
def test_every_call_is_counted_once_whatever_is_killed(fleet: Fleet, fault: Fault) -> None:
    [trial] = try_faults(Hosts(fleet, "llm-gateway-fleet"), [fault], per_second=60, calls=500)
    assert trial.account.answered > 400
    assert problems(trial) == []
