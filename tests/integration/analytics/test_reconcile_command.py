"""`gateway-analytics reconcile`: a provider's account beside the store, and why they differ."""

import json
from pathlib import Path

import pytest

from support.analytics_store import Store, ask, record, rows_by, run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    million = {"input_tokens": 10**6, "output_tokens": 0}
    other = {"request_model": "gpt-6-sol", "response_model": "gpt-6-sol"}
    store.append(
        [
            record(1, **million),
            record(2, **million, received_at="2026-11-03T10:00:00.000000Z"),
            record(3, **million | other),
            record(4, **million, provider="azure"),
        ]
    )
    return store


def test_days_and_models_that_differ_are_shown_with_their_cause(store: Store, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "Date,Model,Num_Requests,Input_Tokens,Output_Tokens,Cost\n"
        "2026-11-02,gpt-4o-2024-08-06,1,1000000,0,2.50\n"
        "2026-11-03,gpt-4o-2024-08-06,3,1200000,0,3.00\n"
        "2026-11-02,gpt-6-sol,1,1000000,0,3.00\n"
        '2026-11-02,"gpt-4.1-2025-04-14, input",7,5,5,$1.25\n'
    )
    answer = ask(store, "reconcile", str(bill), "--provider", "openai")
    rows = rows_by(answer, "day", "model")
    assert {key: (row["difference_usd"], row["likely_cause"].split(":")[0]) for key, row in rows.items()} == {
        ("2026-11-02", "gpt-4.1-2025-04-14"): ("1.25", "not in the store"),
        ("2026-11-02", "gpt-6-sol"): ("-1.00", "same tokens, another price"),  # 4.00: a long prompt
        ("2026-11-03", "gpt-4o-2024-08-06"): ("0.50", "tokens missing here"),
    }
    everything = ask(store, "reconcile", str(bill), "--provider", "openai", "--all")
    assert everything["totals"]["provider_cost_usd"] == "9.75"
    assert rows_by(everything, "day", "model")["2026-11-02", "gpt-4o-2024-08-06"]["likely_cause"] is None


def test_the_total_difference_is_that_of_the_totals(store: Store, tmp_path: Path) -> None:
    """Also where the bill lacks a model that was called: it is nothing there, and all of it is missing."""
    bill = tmp_path / "bill.csv"
    bill.write_text("date,model,cost\n2026-11-02,gpt-4o-2024-08-06,2.00\n")
    answer = ask(store, "reconcile", str(bill), "--provider", "openai")
    rows = rows_by(answer, "model")
    assert {model: (row["provider_cost_usd"], row["difference_usd"]) for model, row in rows.items()} == {
        "gpt-4o-2024-08-06": ("2.00", "-0.50"),
        "gpt-6-sol": (None, "-4.00"),
    }
    money = ("provider_cost_usd", "cost_usd", "difference_usd")
    assert [answer["totals"][name] for name in money] == ["2.00", "6.50", "-4.50"]
    usage = tmp_path / "usage.csv"
    usage.write_text("date,model,input_tokens,output_tokens\n2026-11-02,gpt-4o-2024-08-06,900000,0\n")
    answer = ask(store, "reconcile", str(usage), "--provider", "openai")
    assert [row["difference_usd"] for row in answer["rows"]] == [None, None]  # it says nothing of costs
    assert [answer["totals"][name] for name in money] == [None, "6.50", None]


def test_the_pages_of_an_api_are_read(store: Store, tmp_path: Path) -> None:
    pages = {
        "object": "page",
        "data": [
            {
                "start_time": 1793577600,  # 2026-11-02
                "results": [
                    {
                        "model": "gpt-4o-2024-08-06",
                        "input_tokens": 10**6,
                        "output_tokens": 0,
                        "num_model_requests": 1,
                    },
                    {"line_item": "gpt-6-sol, input", "amount": {"value": 4.0, "currency": "usd"}},
                ],
            }
        ],
    }
    file = tmp_path / "usage.json"
    file.write_text(json.dumps(pages))
    answer = ask(store, "reconcile", str(file), "--provider", "openai", "--all")
    rows = rows_by(answer, "model")
    assert rows["gpt-4o-2024-08-06"]["likely_cause"] is None
    assert (rows["gpt-6-sol"]["provider_cost_usd"], rows["gpt-6-sol"]["provider_tokens"]) == ("4.00", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model,cost\ngpt-4o,5\n", "has no day"),
        ("date,cost\nyesterday,5\n", "no day such as"),
        ("date,cost\n2026-11-02,lots\n", "no amount of dollars"),
        ("date,input_tokens\n2026-11-02,1.5\n", "no number of tokens"),
        ("", "has no usage"),
        ("{broken", "no CSV or JSON"),
        ('[{"date": "2026-11-02", "amount": {"value": 1, "currency": "eur"}}]', "in eur"),
    ],
)
def test_an_export_that_cannot_be_read_is_named(store: Store, tmp_path: Path, text: str, said: str) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(text)
    result = run(store, "reconcile", str(bill), "--provider", "openai")
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_the_account_must_be_somebodys(store: Store, tmp_path: Path) -> None:
    result = run(store, "reconcile", str(tmp_path / "bill.csv"))
    assert result.exit_code == 2
    assert "--provider NAME" in result.stderr
