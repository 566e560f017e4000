import pytest

from support.emulator import running_emulator


@pytest.fixture(scope="module")
def shared_emulator():
    with running_emulator(api_key="sk-canary-0123456789", model=["chat", "slow"]) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator):
    """One process for a module's tests, with its counts at zero. It wants a key."""
    shared_emulator.wait_until("in_flight == 0")
    shared_emulator.reset()
    return shared_emulator
