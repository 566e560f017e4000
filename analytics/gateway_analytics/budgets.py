"""Budgets: what may be spent on whom in a day, a week or a month, and what has been."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from gateway_analytics import yaml_file
from gateway_analytics.costing import Cost
from gateway_analytics.problems import UsageProblem
from gateway_contracts.price_book import EXACT

# What a budget can be for; one that names none of these is for everything.
SCOPES = ("api_key", "owner", "team", "user", "provider", "model", "endpoint")
PERIODS = ("day", "week", "month")
_MILLIONTH = Decimal("0.000001")
_DEFAULT_WARNING = Decimal(80)


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit in US dollars for calls that match the scope, in each period."""

    name: str
    scope: Mapping[str, str]
    period: str
    limit_usd: Decimal
    warn_at_percent: Decimal

    def covers(self, group: Mapping[str, Any]) -> bool:
        """Whether a group of calls counts towards this budget."""
        return all(group[name] == value for name, value in self.scope.items())


def _percent(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100:
        raise ValueError("a whole number from 1 to 100")
    return Decimal(value)


def _usd(value: Any) -> str:
    if value != "USD":
        raise ValueError("USD, as all prices are: convert the limits")
    return "USD"


_FIELDS = {
    "name": yaml_file.text,
    **dict.fromkeys(SCOPES, yaml_file.text),
    "period": yaml_file.one_of(*PERIODS),
    "limit_usd": yaml_file.dollars,
    "warn_at_percent": _percent,
}


def read_budgets(path: Path) -> list[Budget]:
    """Every budget of the file, in its order. Raises UsageProblem."""
    entries = yaml_file.read_entries(
        path, "--budgets", "budgets", _FIELDS, ("limit_usd",), {"currency": _usd}
    )
    budgets = []
    for entry in entries:
        scope = {name: entry[name] for name in SCOPES if entry[name] is not None}
        named = " ".join(f"{name}={value}" for name, value in scope.items()) or "everything"
        budgets.append(
            Budget(
                entry["name"] or named,
                scope,
                entry["period"] or "month",
                entry["limit_usd"],
                entry["warn_at_percent"] or _DEFAULT_WARNING,
            )
        )
    names = [(budget.name, budget.period) for budget in budgets]
    for name, period in names:
        if names.count((name, period)) > 1:
            raise UsageProblem(f"--budgets: {path}: two budgets {name!r} for a {period}. Name them apart.")
    return budgets


def bounds(period: str, day: date) -> tuple[date, date]:
    """The first and the last day of the period that holds this day; weeks begin on Monday (ISO 8601)."""
    match period:
        case "day":
            return day, day
        case "week":
            first = day - timedelta(days=day.weekday())
            return first, first + timedelta(days=6)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def standing(
    budget: Budget, groups: Sequence[tuple[Mapping[str, Any], Cost]], part: Decimal
) -> dict[str, Any]:
    """What was spent of a budget, and what a whole period comes to of which `part` has passed."""
    spent, unpriced = Decimal(0), 0
    with localcontext(EXACT):
        for group, cost in groups:
            if budget.covers(group):
                spent += cost.cost_usd or 0
                unpriced += cost.unpriced_requests
        projected = max(spent, (spent / part).quantize(_MILLIONTH)) if part else None
        percent = spent / budget.limit_usd * 100
    if spent > budget.limit_usd:
        status = "over"
    elif projected is not None and projected > budget.limit_usd:
        status = "heading over"
    elif percent >= budget.warn_at_percent:
        status = "near"
    else:
        status = "within"
    return {
        "limit_usd": budget.limit_usd,
        "spent_usd": spent,
        "percent": round(float(percent), 2),
        "projected_usd": projected,
        "unpriced_requests": unpriced,
        "status": status,
    }


def elapsed(since: str, until: str, now: datetime) -> Decimal:
    """The part of a range, RFC 3339 on both ends, that has passed."""
    start, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
    passed = (min(now, end) - start) / (end - start)
    return Decimal(str(max(0.0, round(passed, 9))))
