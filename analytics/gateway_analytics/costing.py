"""Token sums turned into money, exactly."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from gateway_analytics.grouping import quoted, selected
from gateway_analytics.problems import UsageProblem
from gateway_analytics.records import Records, plural
from gateway_analytics.sql_text import sql
from gateway_contracts.price_book import (
    EXACT,
    NEVER_BILLED,
    PriceBook,
    PriceBookError,
    Rating,
    Unpriced,
    Usage,
)

_TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
_AVERAGE_DECIMALS = Decimal("1e-10")

# As price_book.parse_stated_cost.
_STATED_READABLE = r"regexp_full_match(provider_cost_usd, '\d{1,15}(\.\d{1,18})?')"

# As price_book.Usage.contradictory.
_CONTRADICTORY = """coalesce(
            least(input_tokens, cached_input_tokens, cache_write_tokens, input_audio_tokens,
                  output_tokens, reasoning_tokens, output_audio_tokens) < 0
            OR coalesce(cached_input_tokens, 0) + coalesce(cache_write_tokens, 0)
               + coalesce(input_audio_tokens, 0) > input_tokens
            OR greatest(coalesce(reasoning_tokens, 0), coalesce(output_audio_tokens, 0)) > output_tokens,
            false)"""
_CONTRADICTION = Usage(input_tokens=-1, output_tokens=-1)

# A failed call that cannot have cost anything: the provider refused it, or it never got that far.
_UNBILLED = """coalesce(
            coalesce(http_status, 599) >= 400 AND input_tokens IS NULL AND output_tokens IS NULL
            AND (list_contains(getvariable('never_billed'), error_class)
                 OR (error_class = 'gateway' AND upstream_ms IS NULL)
                 OR (error_class = 'network' AND http_status IS NULL)), false)"""


@dataclass
class Cost:
    """What a group of calls used and cost; None is unknown."""

    requests: int = 0
    failed_requests: int = 0
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    spent_usd: Decimal | None = None
    unpriced_requests: int = 0
    priced_requests: int = 0

    def add(self, row: Mapping[str, Any], cost: Decimal | None) -> None:
        """Add records that share one price, or have none."""
        self.requests += int(row["requests"])
        self.failed_requests += int(row["failed_requests"])
        for name in _TOKENS:
            if row[name] is not None:
                setattr(self, name, (getattr(self, name) or 0) + int(row[name]))
        if cost is None:
            self.unpriced_requests += int(row["records"])
        else:
            self.priced_requests += int(row["requests"])
            if row["basis"] != "unbilled":
                with localcontext(EXACT):
                    self.spent_usd = (self.spent_usd or Decimal(0)) + cost

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost of what has a price; None where only calls without one may have cost anything."""
        return Decimal(0) if self.spent_usd is None and not self.unpriced_requests else self.spent_usd

    @property
    def cost_per_request_usd(self) -> Decimal | None:
        """Average over the calls that have a price, rounded to ten decimals."""
        if self.cost_usd is None or not self.priced_requests:
            return None
        with localcontext(EXACT):
            return (self.cost_usd / self.priced_requests).quantize(_AVERAGE_DECIMALS)

    def as_row(self) -> dict[str, Any]:
        """The columns of a cost row."""
        return {
            "requests": self.requests,
            "successful_requests": self.requests - self.failed_requests,
            "failed_requests": self.failed_requests,
            **{name: getattr(self, name) for name in _TOKENS},
            "cost_usd": self.cost_usd,
            "cost_per_request_usd": self.cost_per_request_usd,
            "unpriced_requests": self.unpriced_requests,
        }


@dataclass
class Costs:
    """The cost of every group, by its values, and of all of them."""

    groups: dict[tuple[Any, ...], Cost]
    total: Cost
    warnings: list[str]


def load_book(path: Path | None) -> PriceBook:
    """The price book of that file, or the shipped one. Raises UsageProblem."""
    try:
        return PriceBook.load(path)
    except PriceBookError as error:
        raise UsageProblem(f"--prices: {error}") from None


def costs(records: Records, book: PriceBook, by: Sequence[str]) -> Costs:
    """Price every record of the view, grouped."""
    execute = records.connection.execute
    execute("SET VARIABLE never_billed = CAST($classes AS VARCHAR[])", {"classes": sorted(NEVER_BILLED)})
    execute(
        "SET VARIABLE first_days = CAST($days AS DATE[])",
        {"days": [day.isoformat() for day in book.first_days]},
    )
    bracket = " + ".join(
        f"CAST(coalesce(input_tokens > {bound}, false) AS TINYINT)" for bound in book.long_context_bounds
    )
    rows = records.rows(
        sql(
            "costs",
            by=selected(by),
            by_columns="".join(f"{name}, " for name in quoted(by)),
            long_context_bracket=bracket or "0",
            contradictory=_CONTRADICTORY,
            stated_readable=_STATED_READABLE,
            unbilled=_UNBILLED,
        )
    )
    answer = Costs({}, Cost(), [])
    unpriced: Counter[tuple[str, str]] = Counter()
    for row in rows:
        rating = _rate(book, row)
        answer.groups.setdefault(tuple(row[name] for name in by), Cost()).add(row, rating.cost)
        answer.total.add(row, rating.cost)
        if rating.unpriced is not None:
            unpriced[_model(row), rating.unpriced] += int(row["records"])
    if not rows:
        answer.total = Cost(input_tokens=0, cached_input_tokens=0, output_tokens=0)
    answer.warnings = [
        f"{plural(count, 'unpriced request')} of {model}: {reason}"
        for (model, reason), count in sorted(unpriced.items(), key=lambda item: (-item[1], item[0]))
    ]
    return answer


def _rate(book: PriceBook, row: Mapping[str, Any]) -> Rating:
    match row["basis"]:
        case "unbilled":
            return Rating(Decimal(0))
        case "stated":
            return Rating(row["stated_usd"], stated=True)
        case "unreadable":
            return Rating(None, Unpriced.UNREADABLE_COST)
    tokens = {
        name: None if row[name] is None else int(row[name])
        for name in (*_TOKENS, "cache_write_tokens", "input_audio_tokens", "output_audio_tokens")
    }
    return book.rate(
        row["provider"],
        row["response_model"],
        row["request_model"],
        row["period"],
        _CONTRADICTION if row["contradictory"] else Usage(**tokens),
        row["service_tier"],
        longest_input=row["longest_input"],
    )


def _model(row: Mapping[str, Any]) -> str:
    model = row["response_model"] or row["request_model"]
    if model is None:
        return "an unknown model"
    tier = f" ({row['service_tier']})" if row["service_tier"] else ""
    return f"{row['provider'] or 'unknown provider'} {model}{tier}"
