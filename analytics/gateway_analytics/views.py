"""The views that `query` has: requests, access and costs."""

from decimal import Decimal

from gateway_analytics.costing import rate, token_sums
from gateway_analytics.price_sql import bounds_of, price_blanks
from gateway_analytics.records import Records
from gateway_analytics.sql_text import sql
from gateway_contracts.price_book import PriceBook, Rates, Unpriced

# What a record's price depends on; a row of `rates` for each combination that occurs.
_KEYS = {
    "basis": "VARCHAR",
    "provider": "VARCHAR",
    "response_model": "VARCHAR",
    "request_model": "VARCHAR",
    "service_tier": "VARCHAR",
    "period": "DATE",
    "bracket": "INTEGER",
    "contradictory": "BOOLEAN",
    "input_unknown": "BOOLEAN",
    "output_unknown": "BOOLEAN",
    "has_output": "BOOLEAN",
    "has_input_audio": "BOOLEAN",
    "has_output_audio": "BOOLEAN",
}
_RATES = ("input", "cached_input", "cache_write", "output", "input_audio", "output_audio")

# Dollars per token have at most 15 decimals; times 18 digits of tokens, a cost has DuckDB's 38 digits.
_PRICE = "DECIMAL(19, 15)"


def create_views(records: Records, book: PriceBook) -> None:
    """Create `requests`, `access` and `costs` over the calls of a question that was asked with `access`."""
    records.connection.execute("CREATE OR REPLACE TEMP VIEW requests AS FROM calls")
    records.connection.execute("CREATE OR REPLACE TEMP VIEW access AS FROM access_records")
    create_costs(records, book)


def create_costs(records: Records, book: PriceBook) -> None:
    """Create `costs`: the calls, each with its exact cost."""
    execute = records.connection.execute
    columns = [*_KEYS.items(), ("unpriced", "VARCHAR"), *((name, _PRICE) for name in _RATES)]
    execute(f"CREATE OR REPLACE TEMP TABLE rates ({', '.join(f'{name} {kind}' for name, kind in columns)})")
    rows = []
    for row in token_sums(records, [book], ()):
        rating = rate(book, row)
        per_token: list[Decimal | None] = [None] * len(_RATES)
        if rating.price is not None and rating.unpriced is None:
            rates = rating.price.rates_for(row["service_tier"], row["longest_input"])
            assert isinstance(rates, Rates)  # noqa: S101 -- rated above
            per_token = [_per_token(rates, name) for name in _RATES]
        rows.append([*(row[name] for name in _KEYS), _reason(rating.unpriced), *per_token])
    if rows:
        places = ", ".join("?" * len(columns))
        records.connection.executemany(f"INSERT INTO rates VALUES ({places})", rows)  # noqa: S608 -- only places
    same = " AND ".join(f"keyed.{name} IS NOT DISTINCT FROM rates.{name}" for name in _KEYS)
    execute(sql("priced", same=same, **price_blanks(bounds_of([book]))))


def _per_token(rates: Rates, name: str) -> Decimal:
    amount = getattr(rates, name)
    if amount is None:
        amount = rates.input if name in ("cached_input", "cache_write") else Decimal(0)
    return Decimal(amount).scaleb(-6)


def _reason(unpriced: Unpriced | None) -> str | None:
    return None if unpriced is None else str(unpriced)
