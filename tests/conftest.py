"""How the tests are spread over processes: by file; the fleet's, which take longest, together and first."""

import pytest
from xdist.scheduler import LoadScopeScheduling

_FLEET = "tests/molecule"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the fleet's tests first."""
    items.sort(key=lambda item: not item.nodeid.startswith(_FLEET))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Decide what runs in the same process."""
    return _ByFile(config, log)


class _ByFile(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _FLEET if nodeid.startswith(_FLEET) else nodeid.partition("::")[0]
