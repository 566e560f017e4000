"""How the tests are spread over processes: by file; the fleet's, which take longest, together and first."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order and group the tests."""
    items.sort(key=lambda item: item.path.parent.name != "molecule")
    for item in items:
        folder, file = item.path.parent.name, item.path.stem
        item.add_marker(pytest.mark.xdist_group(folder if folder == "molecule" else file))
