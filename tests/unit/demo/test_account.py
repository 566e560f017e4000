"""demo/account.py: the demo passes only when the store holds every call once, at the caller's cost."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

# Stands for gateway-analytics: answers from a file that has an answer for each command.
ANALYTICS = "import json, sys; print(json.dumps(json.load(open(sys.argv[1]))[sys.argv[2]]))"


@pytest.fixture
def account() -> ModuleType:
    spec = importlib.util.spec_from_file_location("account", REPOSITORY / "demo" / "account.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("stored", "billed", "code", "said"),
    [
        (["a", "b", "c"], "0.003", 0, "lost 0, doubled or unknown 0"),
        (["a", "b", "c"], "0.0030", 0, "lost 0, doubled or unknown 0"),
        (["a", "b"], "0.003", 1, "lost 1, doubled or unknown 0"),
        (["a", "b", "c", "c"], "0.003", 1, "lost 0, doubled or unknown 1"),
        (["a", "b", "x"], "0.003", 1, "lost 1, doubled or unknown 1"),
        (["a", "b", "c"], "0.004", 1, "as the caller works it out $0.003, as the store says $0.004"),
    ],
)
def test_store_has_to_hold_what_was_called(
    account: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stored: list[str],
    billed: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setattr(account, "ARRIVAL_S", 0)
    results = tmp_path / "results.json"
    turns = [{"request_id": request_id} for request_id in "abc"]
    results.write_text(
        json.dumps(
            {
                "summary": {"cost_usd": "0.003"},
                "cases": [{"turns": turns[:1]}, {"turns": turns[1:]}, {"turns": []}],
            }
        )
    )
    answers = tmp_path / "answers.json"
    answers.write_text(
        json.dumps(
            {
                "requests": {"rows": [{"request_id": request_id} for request_id in stored]},
                "costs": {"totals": {"cost_usd": billed}},
            }
        )
    )
    command = (sys.executable, "-c", ANALYTICS, str(answers))
    assert account.main(str(results), "2026-11-01T00:00:00Z", *command) == code
    assert said in capsys.readouterr().out
