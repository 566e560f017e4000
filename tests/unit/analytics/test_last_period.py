"""--last reads as people write periods."""

from datetime import UTC, datetime

import pytest

from gateway_analytics.problems import UsageProblem
from gateway_analytics.timerange import parse_last

NOW = datetime(2026, 11, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "since"),
    [
        ("90m", "2026-11-08T10:30:00+00:00"),
        ("12h", "2026-11-08T00:00:00+00:00"),
        ("7d", "2026-11-01T12:00:00+00:00"),
        ("4w", "2026-10-11T12:00:00+00:00"),
    ],
)
def test_periods(period: str, since: str) -> None:
    assert parse_last(period, NOW) == since


@pytest.mark.parametrize(
    "period", ["", "7", "d", "0d", "-7d", "7 d", "1y", "999999w", "\N{FULLWIDTH DIGIT SEVEN}d"]
)
def test_what_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(UsageProblem, match="--last"):
        parse_last(period, NOW)
