"""The table of faults keeps the rows that were not tried again."""

from datetime import UTC, datetime

from chaos.faults import FAULTS
from chaos.run import Trial
from chaos.table import table
from chaos.witness import Account


def _trial(number: int, hour: int, calls: int) -> Trial:
    began = datetime(2026, 11, 23, hour, 5, tzinfo=UTC)
    account = Account(
        calls=calls, streams=0, answered=calls, failed=0, cut=0, served=calls, recorded=calls,
        lost=0, doubled=0, unrecorded=0,
    )  # fmt: skip
    return Trial(FAULTS[number], began, began, account, {})


def test_a_new_row_stands_beside_the_others_each_with_its_time_and_versions() -> None:
    first = table([_trial(0, 8, 1000), _trial(1, 8, 2000)], "gateway 1")

    both = table([_trial(1, 9, 3500)], "gateway 2", before=first)

    kept, new = FAULTS[0].name, FAULTS[1].name
    lines = both.splitlines()
    assert [line.split(" | ")[:4] for line in lines[2:5]] == [
        [f"| {kept}", "2026-11-23 08:05", "3", "1,000"],
        [f"| {new}", "2026-11-23 09:05", "3", "3,500"],
        ["| **all**", "", "6", "4,500"],
    ]
    assert lines[-2:] == [
        "- Begun from 2026-11-23 08:05: gateway 1.",
        "- Begun from 2026-11-23 09:05: gateway 2.",
    ]


def test_versions_go_with_their_last_row() -> None:
    first = table([_trial(0, 8, 1000)], "gateway 1")

    assert "gateway 1" not in table([_trial(0, 9, 1000)], "gateway 2", before=first)
