"""`gateway-analytics budget`: spent, projected, and exit codes for checks."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.analytics_store import Store, ask, record, rows_by, run

MILLION = {"input_tokens": 10**6, "output_tokens": 0}  # 2.50 dollars


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    times = ["2026-10-31T23:30:00.000000Z", "2026-11-02T10:00:00.000000Z", "2026-11-09T10:00:00.000000Z"]
    store.append([record(n, **MILLION, received_at=t, api_key_id="a") for n, t in enumerate(times, 1)])
    store.append([record(4, **MILLION, received_at=times[2], api_key_id="b")])
    return store


def budgets(tmp_path: Path, *entries: str, more: str = "") -> list[str]:
    """Options for a file with these budgets."""
    path = tmp_path / "budgets.yml"
    lines = "".join(f"  - {{{entry}}}\n" for entry in entries)
    path.write_text(f"schema_version: 1\n{more}budgets:\n{lines}")
    return ["--budgets", str(path)]


def test_each_budget_counts_what_is_its_own_in_its_own_period(store: Store, tmp_path: Path) -> None:
    files = budgets(
        tmp_path,
        'name: all, limit_usd: "10.00"',
        'name: key a, api_key: a, limit_usd: "4"',
        'name: this week, api_key: a, period: week, limit_usd: "3"',
        'name: today, period: day, limit_usd: "100"',
    )
    rows = rows_by(ask(store, "budget", *files, "--on", "2026-11-09"), "budget")
    assert {name: (r["since"], r["until"], r["spent_usd"], r["status"]) for name, r in rows.items()} == {
        "all": ("2026-11-01", "2026-11-30", "7.50", rows["all"]["status"]),  # depends on today
        "key a": ("2026-11-01", "2026-11-30", "5.00", "over"),
        "this week": ("2026-11-09", "2026-11-15", "2.50", "near"),
        "today": ("2026-11-09", "2026-11-09", "5.00", "within"),
    }
    # A month is the user's month.
    berlin = rows_by(ask(store, "budget", *files, "--on", "2026-11-09", "--tz", "Europe/Berlin"), "budget")
    assert berlin["all"]["spent_usd"] == "10.00"


def test_a_period_that_is_over_is_projected_at_what_it_was(store: Store, tmp_path: Path) -> None:
    files = budgets(tmp_path, 'period: day, limit_usd: "6"')
    (row,) = ask(store, "budget", *files, "--on", "2026-11-09")["rows"]
    assert (row["spent_usd"], row["projected_usd"], row["percent"]) == ("5.00", "5.00", 83.33)


@pytest.mark.parametrize(("limit", "code"), [("7.49", 1), ("7.50", 0)])
def test_a_check_fails_where_a_budget_is_exceeded(
    store: Store, tmp_path: Path, limit: str, code: int
) -> None:
    files = budgets(tmp_path, f'limit_usd: "{limit}"')
    result = run(store, "budget", *files, "--on", "2026-11-09", "--check", "--format", "json")
    assert result.exit_code == code
    assert json.loads(result.stdout)["totals"] == {"over": code}


def test_a_team_is_its_owners_keys(store: Store, tmp_path: Path) -> None:
    owners = tmp_path / "owners.yml"
    owners.write_text("schema_version: 1\nowners: [{api_key: a, owner: ann, team: search}]\n")
    files = budgets(tmp_path, 'team: search, limit_usd: "10"')
    (row,) = ask(store, "budget", *files, "--owners", str(owners), "--on", "2026-11-09")["rows"]
    assert (row["budget"], row["spent_usd"]) == ("team=search", "5.00")
    result = run(store, "budget", *files)
    assert result.exit_code == 2
    assert "--owners FILE" in result.stderr


def test_prometheus_reads_where_each_budget_stands(store: Store, tmp_path: Path) -> None:
    files = budgets(
        tmp_path,
        'name: \'key "a" \\\', api_key: a, period: day, limit_usd: "4.10"',
        'period: day, limit_usd: "0.0000001"',
    )
    path = tmp_path / "budgets.prom"
    result = run(store, "budget", *files, "--on", "2026-11-09", "-o", str(path), "--check")
    assert (result.exit_code, result.stdout) == (1, "")
    metrics = {
        (sample.name, sample.labels["budget"], sample.labels["period"]): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    names = ("limit_usd", "spent_usd", "projected_usd", "unpriced_requests")
    assert metrics == {
        (f"gateway_budget_{name}", budget, "day"): value
        for budget, values in {'key "a" \\': (4.1, 2.5, 2.5, 0), "everything": (1e-7, 5.0, 5.0, 0)}.items()
        for name, value in zip(names, values, strict=True)
    }


@pytest.mark.parametrize(
    ("entry", "more", "said"),
    [
        ('limit_usd: "5"', "currency: EUR\n", "currency must be USD"),
        ("limit_usd: 5.0", "", "US dollars in quotes"),
        ('limit_usd: "-5"', "", "more than 0"),
        ('limit_usd: "5", perod: day', "", "Did you mean 'period'?"),
        ('limit_usd: "5", period: year', "", "one of day, week, month"),
        ("name: x", "", "lacks 'limit_usd'"),
    ],
)
def test_a_file_of_budgets_that_is_wrong_says_where(
    store: Store, tmp_path: Path, entry: str, more: str, said: str
) -> None:
    result = run(store, "budget", *budgets(tmp_path, entry, more=more))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
