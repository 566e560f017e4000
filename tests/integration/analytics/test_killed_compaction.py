"""Compaction that is killed at any instruction; `make kill-compaction` does it hundreds of times."""

from pathlib import Path

import pytest

from support.analytics_store import Store
from support.killed_compaction import DONE, check, compact_until, contents, copy, make_store

# Spread over all the steps that a compaction takes.
_KILLS = 16


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("template") / "store")


@pytest.fixture(scope="module")
def steps(template: Store, tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps an undisturbed compaction takes; it ends as it must."""
    store = copy(template, tmp_path_factory.mktemp("whole") / "store")
    taken = compact_until(store)
    assert contents(store) == DONE
    return taken


@pytest.mark.parametrize("number", range(_KILLS))
def test_a_killed_compaction_loses_and_doubles_nothing(
    template: Store, steps: int, tmp_path: Path, number: int
) -> None:
    check(template, tmp_path / "store", step=1 + number * steps // _KILLS)
