"""Token sums turned into money, exactly."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from gateway_analytics import totals
from gateway_analytics.evidence import EVIDENCE
from gateway_analytics.grouping import quoted, selected
from gateway_analytics.price_sql import bounds_of, long_context_bracket, price_blanks
from gateway_analytics.problems import UsageProblem
from gateway_analytics.records import Records, plural
from gateway_analytics.sql_text import set_list, sql
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

_CONTRADICTION = Usage(input_tokens=-1, output_tokens=-1)

_EVIDENCE_OF = {"stated": EVIDENCE[0], "computed": EVIDENCE[1], "partial": EVIDENCE[2]}
_IN_WORDS = {
    "provider_stated_usd": "stated by providers",
    "computed_usd": "computed from their token counts",
    "partial_usd": "computed from what was seen of streams that were cut",
}


@dataclass
class Cost:
    """What a group of calls used and cost; None is unknown."""

    requests: int = 0
    failed_requests: int = 0
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    unpriced_requests: int = 0
    priced_requests: int = 0
    attempts: int = 0
    spent: dict[str, Decimal] = field(default_factory=dict)  # by evidence

    def add(self, row: Mapping[str, Any], cost: Decimal | None) -> None:
        """Add records that share one price, or have none."""
        self.requests += int(row["requests"])
        self.attempts += int(row["records"])
        self.failed_requests += int(row["failed_requests"])
        for name in _TOKENS:
            if row[name] is not None:
                setattr(self, name, (getattr(self, name) or 0) + int(row[name]))
        if cost is None:
            self.unpriced_requests += int(row["records"])
        else:
            self.priced_requests += int(row["requests"])
            if row["basis"] != "unbilled":
                evidence = _EVIDENCE_OF[row["basis"]]
                self.spent[evidence] = exact_sum((self.spent.get(evidence, Decimal(0)), cost))

    @property
    def spent_usd(self) -> Decimal | None:
        """The sum over all evidence; None where nothing was priced."""
        return exact_sum(self.spent.values()) if self.spent else None

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost of what has a price; None where only calls without one may have cost anything."""
        return Decimal(0) if not self.spent and not self.unpriced_requests else self.spent_usd

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
            **{name: self.spent.get(name) for name in EVIDENCE},
        }


@dataclass
class Costs:
    """The cost of every group, by its values, and of all of them."""

    groups: dict[tuple[Any, ...], Cost]
    total: Cost
    unpriced: Counter[tuple[str, str]]  # attempts by model and reason

    @property
    def warnings(self) -> list[str]:
        """What could not be priced, and why, most frequent first."""
        return [
            f"{plural(count, 'unpriced request')} of {model}: {reason}"
            for (model, reason), count in sorted(self.unpriced.items(), key=lambda item: (-item[1], item[0]))
        ]

    @property
    def sentence(self) -> str | None:
        """The total with what it rests on, where it rests on more than tokens and prices."""
        if self.total.cost_usd is None or (not self.unpriced and set(self.total.spent) <= {"computed_usd"}):
            return None
        parts = [f"{dollars(self.total.spent[e])} {_IN_WORDS[e]}" for e in EVIDENCE if e in self.total.spent]
        whole = [dollars(self.total.cost_usd)] if len(parts) != 1 else []
        text = ": ".join([*whole, ", ".join(parts)] if parts else whole)
        models = Counter[str]()
        for (model, _), count in self.unpriced.items():
            models[model] += count
        named = [f"{plural(count, 'unpriced request')} of {model}" for model, count in models.most_common(3)]
        if len(models) > len(named):
            named.append(f"{models.total() - sum(c for _, c in models.most_common(3)):,} of others")
        return text + (f"; plus {', '.join(named)}" if named else "") + "."


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, to the last digit."""
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))


def dollars(amount: Decimal) -> str:
    """An amount in a sentence: cents from a dollar on, millionths below."""
    return f"${amount:,.2f}" if abs(amount) >= 1 or not amount else f"${amount:,.6f}"


def unused_evidence(priced: Costs) -> frozenset[str]:
    """The evidence that a table need not show: none of it where everything is computed from token counts."""
    used = set(priced.total.spent)
    return frozenset(EVIDENCE) - (used if used - {"computed_usd"} else set())


def load_book(path: Path | None, as_of: datetime | None = None) -> PriceBook:
    """The price book of that file, or the shipped one, with what it knew on a day. Raises UsageProblem."""
    try:
        book = PriceBook.load(path)
        return book.as_of(as_of.date()) if as_of else book
    except PriceBookError as error:
        raise UsageProblem(f"--prices: {error}") from None


def costs(
    records: Records,
    book: PriceBook,
    by: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    condition: str = "true",
) -> Costs:
    """Price every record of the view that meets the condition, grouped.

    Groups are the values of `by` and then of `extra`, which maps names to SQL over a record.
    """
    names = (*by, *(extra or {}))
    answer = Costs({}, Cost(), Counter())
    for row, rating in rated(records, book, by, extra=extra, condition=condition):
        answer.groups.setdefault(tuple(row[name] for name in names), Cost()).add(row, rating.cost)
        answer.total.add(row, rating.cost)
        if rating.unpriced is not None:
            answer.unpriced[_model(row), rating.unpriced] += int(row["records"])
    if not answer.groups:
        answer.total = Cost(input_tokens=0, cached_input_tokens=0, output_tokens=0)
    return answer


def rated(
    records: Records,
    book: PriceBook,
    by: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    condition: str = "true",
) -> Iterator[tuple[dict[str, Any], Rating]]:
    """Sums of records that share a group and a price, each with that price applied."""
    for row in token_sums(records, [book], by, extra=extra, condition=condition):
        yield row, rate(book, row)


def token_sums(
    records: Records,
    books: Sequence[PriceBook],
    by: Sequence[str],
    *,
    extra: Mapping[str, str] | None = None,
    condition: str = "true",
) -> list[dict[str, Any]]:
    """Sums of records that share a group and, in each of these books, a price."""
    set_list(records.connection, "never_billed", sorted(NEVER_BILLED))
    first_days = {day.isoformat() for book in books for day in book.first_days}
    set_list(records.connection, "first_days", sorted(first_days), "DATE")
    bounds = bounds_of(books)
    columns = "".join(f'{expression} AS "{name}", ' for name, expression in (extra or {}).items())
    grouped = f"{selected(by)}{columns}CAST(utc(received_at) AS DATE) AS utc_day, "
    sums = []
    if records.has_records:  # the query takes as long to plan as to answer
        sums.append(sql("sums", by=grouped, condition=condition, **price_blanks(bounds)))
    if records.has_kept:
        totals.check(records.connection, by, bounds, extra)
        bracket = long_context_bracket("longest_input", bounds)
        sums.append(sql("kept_sums", by=grouped, long_context_bracket=bracket))
    by_columns = "".join(f"{name}, " for name in quoted((*by, *(extra or {}))))
    return records.rows(sql("costs", sums="UNION ALL\n".join(sums), by_columns=by_columns))


def rate(book: PriceBook, row: Mapping[str, Any]) -> Rating:
    """The cost of a sum of records, or why it has none."""
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
