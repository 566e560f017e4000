"""`gateway-analytics prices`: history, checks, and what a newer catalogue adds."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway_contracts.price_book import PriceBook
from support.analytics_store import Store, ask, record, rows_by, run

OWN = """schema_version: 1
prices:
  # negotiated
  - provider: openai
    model: ours
    valid_from: 2026-01-01
    usd_per_million: {input: "1.00", output: "2.00"}

  - provider: openai
    model: theirs
    aliases: [theirs-2026-02-01]
    valid_from: 2026-02-01
    source: MLflow 1
    usd_per_million: {input: "1.00", output: "2.00"}
    service_tiers:
      batch: {input: "0.50", output: "1.00"}
"""


def listed(
    input_: float, output: float | None = None, changed: str = "2026-06-01", **more: Any
) -> dict[str, Any]:
    """A model as MLflow's catalogue has it."""
    pricing = {"input_per_million_tokens": input_, "output_per_million_tokens": output, **more}
    return {"mode": "chat", "pricing": pricing, "last_updated_at": changed}


def refresh(tmp_path: Path, models: dict[str, Any], *arguments: str) -> Any:
    """Refresh OWN, or what it has become, with a catalogue of these OpenAI models."""
    catalog = tmp_path / "catalog"
    catalog.mkdir(exist_ok=True)
    (catalog / "openai.json").write_text(json.dumps({"schema_version": "1.0", "models": models}))
    book = tmp_path / "prices.yml"
    if not book.exists():
        book.write_text(OWN)
    where = ["--prices", str(book), "--catalog", str(catalog), "--provider", "openai"]
    return ask(None, "prices", "refresh", *where, *arguments)


def test_a_refresh_adds_new_models_and_changed_prices_and_keeps_the_rest(tmp_path: Path) -> None:
    models = {
        "ours": listed(9, 9),
        "theirs": listed(0.75, 1.5, changed="2026-09-01"),
        "theirs-2026-02-01": listed(0.75, 1.5, changed="2026-09-01"),
        "fresh-2026-05-04": listed(
            0.1,
            0.3,
            cache_read_per_million_tokens=0.01,
            cache_write_per_million_tokens=0.125,
            modality={"audio": {"input_per_million_tokens": 3}},
            service_tiers={"batch": {"input_per_million_tokens": 0.05, "output_per_million_tokens": 0.15}},
            long_context=[{"threshold_tokens": 200000, "input_per_million_tokens": 0.2}],
        ),
        "unknown-price": listed(0, 0),
        "pictures": listed(5) | {"mode": "image_generation"},
    }
    changes = rows_by(refresh(tmp_path, models), "model")
    assert {name: row["change"] for name, row in changes.items()} == {
        "ours": "own",
        "theirs": "changed",
        "fresh-2026-05-04": "new",
    }
    text = (tmp_path / "prices.yml").read_text()
    assert text.startswith(OWN)
    book = PriceBook.load(tmp_path / "prices.yml")
    assert [(p.model, str(p.valid_from)) for p in book.prices[2:]] == [
        ("fresh-2026-05-04", "2026-05-04"),
        ("theirs", "2026-09-01"),
    ]
    assert book.prices[3].aliases == ("theirs-2026-02-01",)
    fresh = rows_by(
        ask(None, "prices", "--prices", str(tmp_path / "prices.yml"), "--model", "fresh-2026-05-04"),
        "service_tier",
        "above_input_tokens",
    )
    assert {
        key: [row[name] for name in ("input", "cached_input", "cache_write", "output", "input_audio")]
        for key, row in fresh.items()
    } == {
        (None, None): ["0.10", "0.01", "0.125", "0.30", "3.00"],
        ("batch", None): ["0.05", None, None, "0.15", None],
        (None, 200000): ["0.20", None, None, None, None],
    }
    assert not [row for row in refresh(tmp_path, models)["rows"] if row["change"] != "own"]
    assert (tmp_path / "prices.yml").read_text() == text


def test_an_older_catalogue_takes_nothing_back(tmp_path: Path) -> None:
    refresh(tmp_path, {"theirs": listed(0.75, 1.5, changed="2026-09-01")})
    assert refresh(tmp_path, {"theirs": listed(1, 3, changed="2026-08-01")})["rows"] == []


def test_a_catalogue_without_the_tiers_of_the_book_changes_no_price(tmp_path: Path) -> None:
    assert refresh(tmp_path, {"theirs": listed(1, 2, changed="2026-09-01")})["rows"] == []


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    assert refresh(tmp_path, {"new": listed(1, 2)}, "--dry-run")["rows"]
    assert (tmp_path / "prices.yml").read_text() == OWN


def test_a_new_book_begins_with_the_shipped_prices(tmp_path: Path) -> None:
    (tmp_path / "prices.yml").write_text("")
    (tmp_path / "prices.yml").unlink()
    catalog = tmp_path / "catalog"
    catalog.mkdir()
    (catalog / "openai.json").write_text(json.dumps({"models": {"brand new: model": listed(1, 2)}}))
    result = run(
        None,
        *("prices", "refresh", "--prices", str(tmp_path / "prices.yml"), "--provider", "openai"),
        *("--catalog", str(catalog)),
    )
    assert result.exit_code == 0, result.output
    book = PriceBook.load(tmp_path / "prices.yml")
    assert len(book.prices) == len(PriceBook.load().prices) + 1
    assert book.prices[-1].model == "brand new: model"


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        (None, "give --catalog"),
        ("nothing", "such as openai.json"),
        ("missing.whl", "no directory and no wheel"),
        ("broken", "is not understood"),
        ("empty-provider", "has none 'openai'"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: str | None, said: str
) -> None:
    monkeypatch.setattr("gateway_analytics.price_catalog.util.find_spec", lambda _: None)
    for name, text in {
        "broken": '{"models": {"m": {"mode": "chat", "pricing": {"input_per',
        "nothing": "",
    }.items():
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / "openai.json").write_text(text)
    (tmp_path / "empty-provider").mkdir()
    (tmp_path / "empty-provider" / "xai.json").write_text("{}")
    book = tmp_path / "prices.yml"
    book.write_text(OWN)
    where = ["--catalog", str(tmp_path / catalog)] if catalog else []
    result = run(None, "prices", "refresh", "--prices", str(book), "--provider", "openai", *where)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert book.read_text() == OWN


def test_show_gives_a_models_history_with_its_ends() -> None:
    answer = ask(None, "prices", "show", "gpt-4o", "--provider", "openai")
    base = [row for row in answer["rows"] if row["service_tier"] is None]
    assert [(row["valid_from"], row["valid_until"], row["input"], row["output"]) for row in base] == [
        ("2024-05-13", "2024-10-02", "5.00", "15.00"),
        ("2024-10-02", None, "2.50", "10.00"),
    ]
    result = run(None, "prices", "show", "gpt-4oo")
    assert result.exit_code == 2
    assert "Did you mean 'gpt-4o'?" in result.stderr


def test_the_shipped_book_has_nothing_to_find() -> None:
    assert ask(None, "prices", "check")["rows"] == []


def test_a_check_finds_slips_gaps_and_models_without_a_price(tmp_path: Path) -> None:
    book = tmp_path / "prices.yml"
    book.write_text(
        OWN
        + """
  - {provider: openai, model: theirs, valid_from: 2026-03-01, usd_per_million: {input: "10.5"}}
  - {provider: openai, model: odd, valid_from: 2026-03-01, usd_per_million: {input: "1", cached_input: "2"}}
"""
    )
    store = Store(tmp_path / "store")
    store.append([record(1, request_model="ours", response_model=None), record(2), record(3)])
    where = ["--prices", str(book), "--store", str(store.path)]
    result = run(None, "prices", "check", *where, "--format", "json")
    assert result.exit_code == 1, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["kind"], row["model"], row["requests"]) for row in rows] == [
        ("odd", "odd", None),
        ("gap", "theirs", None),
        ("odd", "theirs", None),
        ("unpriced", "gpt-4o-2024-08-06", 2),
    ]
    assert "10.5" in rows[2]["problem"]


def test_as_of_prices_with_what_was_known_then(tmp_path: Path) -> None:
    """A price that was announced late applies from its day on, but no earlier statement knew it."""
    book = tmp_path / "prices.yml"
    book.write_text(
        OWN
        + """
  - provider: openai
    model: ours
    valid_from: 2026-03-01
    learned_at: 2026-05-01
    usd_per_million: {input: "0.50", output: "1.00"}
"""
    )
    store = Store(tmp_path / "store")
    call = {"request_model": "ours", "response_model": None, "input_tokens": 10**6, "output_tokens": 0}
    store.append([record(n, **call, received_at=f"2026-0{n}-15T00:00:00.000000Z") for n in (2, 4)])
    known = {
        day: ask(store, "costs", "--prices", str(book), "--as-of", day)["totals"]["cost_usd"]
        for day in ("2025-12-31", "2026-04-30", "2026-05-01")
    }
    assert known == {"2025-12-31": None, "2026-04-30": "2.00", "2026-05-01": "1.50"}
    assert ask(store, "costs", "--prices", str(book))["totals"]["cost_usd"] == "1.50"


@pytest.mark.parametrize("place", ["installed", "wheel", "directory"])
def test_a_catalogue_is_found_where_mlflow_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root = tmp_path / "lib"
    directory = root / "mlflow" / "utils" / "model_catalog"
    directory.mkdir(parents=True)
    text = json.dumps({"models": {"brand-new": listed(1, 2)}})
    (directory / "openai.json").write_text(text)
    found = SimpleNamespace(submodule_search_locations=[str(root / "mlflow")])
    monkeypatch.setattr("gateway_analytics.price_catalog.util.find_spec", lambda _: found)
    wheel = tmp_path / "mlflow-9.9.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("mlflow/utils/model_catalog/openai.json", text)
    where = {"installed": [], "wheel": ["--catalog", str(wheel)], "directory": ["--catalog", str(root)]}[
        place
    ]
    book = tmp_path / "prices.yml"
    book.write_text(OWN)
    arguments = ["refresh", "--prices", str(book), "--provider", "openai", *where]
    (row,) = ask(None, "prices", *arguments)["rows"]
    assert (row["change"], row["model"]) == ("new", "brand-new")
    source = PriceBook.load(book).prices[-1].source
    assert source is not None
    assert source.startswith("MLflow 9.9.9" if place == "wheel" else "MLflow")
