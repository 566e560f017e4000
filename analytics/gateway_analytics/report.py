"""The answer of a command, before it is written in some format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from gateway_analytics.problems import UsageProblem
from gateway_analytics.timerange import TimeRange
from gateway_contracts.suggestion import did_you_mean

Kind = Literal["text", "time", "int", "number", "usd", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what its values are; `usd` is Decimal, `time` RFC 3339 text; all may be None."""

    name: str
    kind: Kind = "text"
    missing: str = "-"  # what a person reads where there is no value
    longest: int = 60  # characters of a value in a table; names in records may be any length


@dataclass
class Report:
    """Rows under columns, their totals, and what to know about them."""

    command: str
    range: TimeRange
    columns: Sequence[Column]
    rows: list[dict[str, Any]]
    totals: Mapping[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # for people only
    total_row: bool = True  # whether the totals say more than the rows do
    hidden: frozenset[str] = frozenset()  # columns that tables for people leave out

    def arrange(self, orders: Sequence[str], limit: int | None) -> None:
        """Put the rows in order, the first order first, and keep the first so many.

        An order is COLUMN, COLUMN:asc or COLUMN:desc. Values that are missing come last, either way.
        """
        for order in reversed(orders):
            self._sort(order)
        if limit is not None and len(self.rows) > limit:
            self.notes.append(f"{len(self.rows) - limit:,} more rows are not shown: --limit {limit}.")
            del self.rows[limit:]

    def _sort(self, key: str) -> None:
        name, kind, descending = _parse_order(key, self.columns)
        present = [row for row in self.rows if row[name] is not None]
        missing = [row for row in self.rows if row[name] is None]
        self.rows = sorted(present, key=lambda row: _order(row[name], kind), reverse=descending) + missing


def check_order(order: str | None, columns: Sequence[Column]) -> None:
    """Raise UsageProblem where rows with these columns cannot have this order: before a long question."""
    if order:
        _parse_order(order, columns)


def _parse_order(order: str, columns: Sequence[Column]) -> tuple[str, Kind, bool]:
    """The column that an order names, its kind, and whether the largest comes first. Raises UsageProblem."""
    name, _, direction = order.partition(":")
    kinds = {column.name: column.kind for column in columns}
    if name not in kinds:
        raise UsageProblem(f"--sort: there is no column {name!r} here.{did_you_mean(name, kinds)}")
    if direction not in ("", "asc", "desc"):
        raise UsageProblem(f"--sort: {direction!r} is no direction. Use {name}:asc or {name}:desc.")
    return name, kinds[name], direction == "desc" or (not direction and kinds[name] not in ("text", "time"))


def _order(value: Any, kind: Kind) -> tuple[int, Any]:
    if kind == "time":  # the clock reads one hour twice when summer time ends
        return (0, datetime.fromisoformat(value))
    return (0, value) if isinstance(value, int | float | Decimal) else (1, str(value))
