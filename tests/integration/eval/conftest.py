"""What the tests of the evaluation share."""

from collections.abc import Iterator

import pytest

from support.hostile_server import HostileServer, hostile_server


@pytest.fixture
def host() -> Iterator[HostileServer]:
    """A host that answers well until it is told otherwise."""
    with hostile_server() as server:
        yield server
