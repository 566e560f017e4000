"""`gateway-analytics costs`: what is added up, what is priced, and what is not."""

from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, ask, record, rows_by, run

GPT_4O = "openai gpt-4o-2024-08-06"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_cached_and_cache_writing_tokens_have_their_own_price(store: Store) -> None:
    claude = {
        "provider": "anthropic",
        "request_model": "claude-haiku-4-5",
        "response_model": "claude-haiku-4-5-20251001",
    }
    store.append(
        [
            record(1, input_tokens=1000, cached_input_tokens=400, output_tokens=100),
            record(
                2,
                **claude,
                input_tokens=1000,
                cached_input_tokens=300,
                cache_write_tokens=600,
                output_tokens=10,
            ),
        ]
    )
    rows = rows_by(ask(store, "costs", "--by", "provider"), "provider")
    assert rows["openai"]["cost_usd"] == "0.003"  # (600*2.50 + 400*1.25 + 100*10.00) per million
    assert (
        rows["anthropic"]["cost_usd"] == "0.00093"
    )  # (100*1.00 + 300*0.10 + 600*1.25 + 10*5.00) per million


def test_each_call_is_priced_by_its_own_day(store: Store) -> None:
    alias = {"response_model": None, "input_tokens": 1_000_000, "output_tokens": 1_000_000}
    store.append(
        [
            record(1, **alias, received_at="2024-10-01T23:59:59.999999Z"),
            record(2, **alias, received_at="2024-10-02T00:00:00.000000Z"),
        ]
    )
    days = rows_by(ask(store, "costs", "--by", "day"), "day")
    assert [days[day]["cost_usd"] for day in ("2024-10-01", "2024-10-02")] == ["20.00", "12.50"]
    assert ask(store, "costs")["totals"]["cost_usd"] == "32.50"


def test_a_price_follows_the_utc_date_whatever_the_users_day(store: Store) -> None:
    store.append(
        [record(1, response_model=None, received_at="2024-10-02T03:00:00.000000Z", input_tokens=1_000_000)]
    )
    (row,) = ask(store, "costs", "--by", "day", "--tz", "America/New_York")["rows"]
    assert (row["day"], row["cost_usd"]) == ("2024-10-01", "2.501")


def test_what_has_no_price_is_counted_named_and_never_free(store: Store) -> None:
    store.append(
        [
            record(1),
            record(2, request_model="home-made", response_model="home-made"),
            record(3, request_model="home-made", response_model="home-made"),
            record(4, request_model="home-made", **FAILED),
            record(5, service_tier="turbo"),
            record(6, input_tokens=None, output_tokens=None, usage_source=None),
            record(7, input_audio_tokens=5),
            record(8, input_tokens=5, cached_input_tokens=6),
        ]
    )
    result = run(store, "costs", "--by", "model")
    answer = ask(store, "costs", "--by", "model")
    rows = rows_by(answer, "model")
    assert rows["home-made"]["cost_usd"] is None
    assert rows["home-made"]["unpriced_requests"] == 2
    assert rows["gpt-4o-2024-08-06"]["cost_usd"] == "0.0035"
    assert answer["totals"]["unpriced_requests"] == 6
    assert answer["totals"]["cost_per_request_usd"] == "0.00175"  # of the priced call and the refused one
    assert answer["warnings"] == [
        "2 unpriced requests of openai home-made: the price book has no price for it on that date",
        f"1 unpriced request of {GPT_4O}: its token counts are unknown",
        f"1 unpriced request of {GPT_4O}: its token counts contradict each other",
        f"1 unpriced request of {GPT_4O}: the price book has no price for its audio tokens",
        f"1 unpriced request of {GPT_4O} (turbo): the price book has no price for its service tier",
    ]
    summary, *warnings = result.stderr.splitlines()
    assert [f"warning: {warning}" for warning in answer["warnings"]] == warnings
    assert summary == (
        f"$0.003500 computed from their token counts; plus 3 unpriced requests of {GPT_4O},"
        f" 2 unpriced requests of openai home-made, 1 unpriced request of {GPT_4O} (turbo)."
    )
    home_made = next(line for line in result.stdout.splitlines() if "home-made" in line)
    assert "unpriced" in home_made
    assert "0.00" not in home_made


@pytest.mark.parametrize(
    ("error_class", "status", "upstream_ms", "cost"),
    [
        ("rate_limit", 429, 5.0, "0.00"),
        ("invalid_request", 400, None, "0.00"),
        ("provider", 502, 5.0, "0.00"),
        ("gateway", 500, None, "0.00"),
        ("gateway", 500, 5.0, None),
        ("timeout", 504, 5.0, None),
        ("network", 502, 5.0, None),
        ("client_disconnect", 499, 5.0, None),
        (None, 500, 5.0, None),
    ],
)
def test_a_failure_is_free_only_where_no_provider_bills_it(
    store: Store, error_class: str | None, status: int, upstream_ms: float | None, cost: str | None
) -> None:
    store.append(
        [
            record(
                1, **FAILED | {"error_class": error_class, "http_status": status, "upstream_ms": upstream_ms}
            )
        ]
    )
    totals = ask(store, "costs")["totals"]
    assert (totals["cost_usd"], totals["unpriced_requests"]) == (cost, 0 if cost else 1)


def test_every_attempt_is_paid_and_a_call_is_counted_once(store: Store) -> None:
    call = {"request_id": "same"}
    store.append(
        [
            record(1, **call, final=False, http_status=500, error_class="provider"),
            record(2, **call, attempt=2),
            record(3, request_id="other", **FAILED),
        ]
    )
    totals = ask(store, "costs")["totals"]
    assert (totals["requests"], totals["successful_requests"], totals["failed_requests"]) == (2, 1, 1)
    assert totals["input_tokens"] == 2000
    assert totals["cost_usd"] == "0.007"


def test_a_cost_that_the_provider_states_wins(store: Store) -> None:
    store.append([record(1, provider_cost_usd="0.123456789012345678"), record(2, provider_cost_usd="free")])
    totals = ask(store, "costs")["totals"]
    assert (totals["cost_usd"], totals["unpriced_requests"]) == ("0.123456789012345678", 1)


def test_a_long_prompt_is_priced_as_one(store: Store) -> None:
    haiku = {
        "provider": "anthropic",
        "request_model": "claude-haiku-5-5",
        "response_model": "claude-haiku-5-5",
    }
    store.append([record(n, **haiku, input_tokens=n * 50_000, output_tokens=0) for n in (1, 2, 3)])
    assert (
        ask(store, "costs")["totals"]["cost_usd"] == "0.09"
    )  # 150,000 at 0.10 and 150,000 at 0.50 per million


def test_ones_own_price_book(store: Store, tmp_path: Path) -> None:
    store.append([record(1, request_model="home-made", response_model="home-made")])
    book = tmp_path / "prices.yml"
    book.write_text(
        "schema_version: 1\nprices:\n  - {provider: openai, model: home-made, valid_from: 2026-01-01,"
        ' usd_per_million: {input: "0.000001", output: "0"}}\n'
    )
    assert ask(store, "costs", "--prices", str(book))["totals"]["cost_usd"] == "0.000000001"
    book.write_text(book.read_text().replace("output", "outptu"))
    result = run(store, "costs", "--prices", str(book))
    assert result.exit_code == 2
    assert "Did you mean 'output'?" in result.stderr
    assert result.stdout == ""


def test_groups_combine_and_values_that_are_missing_stay_missing(store: Store) -> None:
    store.append([record(1, api_key_id="a", end_user="ann"), record(2, api_key_id="a"), record(3)])
    rows = rows_by(ask(store, "costs", "--by", "api_key", "--by", "user"), "api_key", "user")
    assert set(rows) == {("a", "ann"), ("a", None), (None, None)}


def test_filters_narrow_and_repeat(store: Store) -> None:
    store.append(
        [
            record(1, host="h1", api_key_id="a"),
            record(2, host="h2", **FAILED),
            record(3, host="h3", request_model="gpt-4o-mini", response_model="gpt-4o-mini-2024-07-18"),
        ]
    )

    def count(*filters: str) -> int:
        requests: int = ask(store, "costs", *filters)["totals"]["requests"]
        return requests

    assert count("--host", "h1", "--host", "h2") == 2
    assert count("--model", "gpt-4o") == 2
    assert count("--model", "gpt-4o-2024-08-06") == 1
    assert count("--status", "4xx") == 1
    assert count("--status", "429") == 1
    assert count("--api-key", "") == 2
    assert count("--host", "h1", "--status", "429") == 0
    assert count("--host", "') OR 1=1 --") == 0
    for arguments in (("--model", "gpt4o"), ("--since", "2030-01-01")):
        assert "nothing fits the range and the filters" in run(store, "costs", *arguments).stderr


@pytest.mark.parametrize(
    ("question", "column"),
    [
        ("budget --budgets budgets.yml", "percent"),
        ("costs", "requests"),
        ("doctor", "status"),
        ("errors", "failed_requests"),
        ("export --focus", "BilledCost"),
        ("keys", "requests"),
        ("latency", "requests"),
        ("prices check", "model"),
        ("reconcile bill.csv --provider openai", "tokens"),
        ("requests", "requests"),
        ("rerate --as-of 2026-11-01", "day"),
        ("top", "name"),
        ("verify", "lost"),
        ("waste", "attempts"),
        ("whatif --map gpt-4o=gpt-4o-mini", "model"),
    ],
)
def test_an_order_that_cannot_be_is_refused_before_the_store_is_read(
    tmp_path: Path, question: str, column: str
) -> None:
    for order, said in (("prise", "there is no column 'prise'"), (f"{column}:up", "'up' is no direction")):
        result = run(None, *question.split(), "--store", str(tmp_path / "no store"), "--sort", order)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr


def test_sorting_and_limit_keep_the_totals(store: Store) -> None:
    models = ["gpt-4o", "gpt-4", "gpt-4o-mini", "home-made"]
    store.append([record(n, request_model=m, response_model=m) for n, m in enumerate(models, start=1)])
    by_cost = ask(store, "costs", "--by", "model")
    assert [row["model"] for row in by_cost["rows"]] == ["gpt-4", "gpt-4o", "gpt-4o-mini", "home-made"]
    by_name = ask(store, "costs", "--by", "model", "--sort", "model:desc", "--limit", "2")
    assert [row["model"] for row in by_name["rows"]] == ["home-made", "gpt-4o-mini"]
    assert by_name["totals"] == by_cost["totals"]
    cheapest = ask(store, "costs", "--by", "model", "--sort", "cost_usd:asc")
    assert [row["model"] for row in cheapest["rows"]] == ["gpt-4o-mini", "gpt-4o", "gpt-4", "home-made"]
    result = run(store, "costs", "--by", "model", "--sort", "cost")
    assert result.exit_code == 2
    assert "Did you mean 'cost_usd'?" in result.stderr


def test_a_total_says_what_it_rests_on(store: Store) -> None:
    store.append(
        [
            record(1),
            record(2, provider_cost_usd="400"),
            record(3, usage_source="partial", http_status=499, error_class="client_disconnect"),
            record(4, request_model="home-made", response_model=None),
        ]
    )
    totals = ask(store, "costs")["totals"]
    assert [totals[name] for name in ("cost_usd", "provider_stated_usd", "computed_usd", "partial_usd")] == [
        "400.007",
        "400.00",
        "0.0035",
        "0.0035",
    ]
    assert run(store, "costs").stderr.splitlines()[0] == (
        "$400.01: $400.00 stated by providers, $0.003500 computed from their token counts, $0.003500"
        " computed from what was seen of streams that were cut; plus 1 unpriced request of openai home-made."
    )
