"""Every command in every format, byte for byte.

A wanted change: run with UPDATE_GOLDEN=1, look at the difference, commit it.
"""

import os
import re
from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, access_record, record, run

BUDGETS = """schema_version: 1
budgets:
  - {name: everything, limit_usd: "0.01"}
  - {user: ann, period: day, limit_usd: "5.00"}
  - {provider: anthropic, period: week, limit_usd: "0.003", warn_at_percent: 90}
"""
BILL = """date,model,requests,input_tokens,output_tokens,cost
2026-10-31,gpt-4o-2024-08-06,2,2000,20,0.005
2026-11-02,gpt-4o-2024-08-06,1,1000,100,3.50
2026-11-02,=gpt|9,1,1000,100,0.25
"""
# What is another one at every look: how long ago, how much disk is left, when it was made.
PASSING = (
    (r"newest call [^,\"]+?(?= ago)", "newest call SOME TIME"),
    (r"[0-9.]+ GB free, [^\"\n]+?(days|no pace known yet)", "SOME SPACE free"),
    (r'"made_at": "[^"]+"', '"made_at": "NOW"'),
)
# Their columns are as wide as what passes.
PASSING_COMMANDS = {"doctor": ["doctor", "--since", "2024-01-01"], "report": ["report"]}
GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"table": "txt", "json": "json", "jsonl": "jsonl", "csv": "csv", "markdown": "md"}
COMMANDS = {
    "costs": ["costs"],
    "costs-by-model": ["costs", "--by", "model"],
    "costs-by-day-user": [
        "costs",
        "--by",
        "day",
        "--by",
        "user",
        "--tz",
        "Europe/Berlin",
        "--since",
        "2026-11-01",
    ],
    "requests": ["requests"],
    "requests-by-status": ["requests", "--by", "status", "--by", "error_class"],
    "requests-list": ["requests", "--list", "--limit", "4"],
    "prices": ["prices", "--provider", "openai", "--model", "gpt-4o", "--model", "gpt-6-sol"],
    "prices-show": ["prices", "show", "o3", "--provider", "openai"],
    "latency": ["latency", "--by", "provider"],
    "errors": ["errors"],
    "keys": ["keys", "--tz", "Europe/Berlin"],
    "waste": ["waste", "--by", "provider"],
    "whatif": ["whatif", "--map", "gpt-4o-2024-08-06=gpt-6-sol", "--since", "2024-01-01"],
    "rerate": ["rerate", "--as-of", "2026-11-01", "--all", "--by", "model"],
    "top": ["top", "--limit", "2"],
    "tail": ["tail", "--limit", "3"],
    "query": [
        "query",
        "SELECT evidence, count(*) AS calls, sum(cost_usd) AS usd FROM costs GROUP BY ALL ORDER BY 1",
    ],
    "export": ["export", "--focus", "--since", "2026-11-02"],
    "budget": ["budget", "--budgets", "BUDGETS", "--on", "2026-10-31", "--tz", "Europe/Berlin"],
    "reconcile": ["reconcile", "BILL", "--provider", "openai"],
    "verify": ["verify", "--by", "day"],
    "schema": ["schema"],
    "schema-access": ["schema", "access"],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("golden"))
    claude = {
        "provider": "anthropic",
        "endpoint": "claude",
        "request_model": "claude-sonnet-5-5",
        "response_model": "claude-sonnet-5-5",
        "service_tier": "standard",
    }
    embedding = {"request_model": "text-embedding-3-small", "response_model": "text-embedding-3-small"}
    records = [
        record(
            1,
            received_at="2024-06-01T10:00:00.000000Z",
            response_model="gpt-4o-2024-05-13",
            input_tokens=123_456,
        ),
        record(2, received_at="2026-10-31T22:59:59.000000Z", end_user="ann", cached_input_tokens=512),
        record(3, received_at="2026-10-31T23:00:00.000000Z", end_user="ann", duration_ms=1234.567),
        record(
            4, **claude, end_user="bob", cached_input_tokens=300, cache_write_tokens=600, api_key_id="team-b"
        ),
        record(5, **embedding, operation="embeddings", output_tokens=None, input_tokens=8, end_user="bob"),
        record(6, **FAILED, end_user="bob"),
        record(7, end_user="=1+2|\x1b[31m", request_model="home-made", response_model="home-made"),
        record(
            8,
            received_at="2026-11-02T11:00:00.000000Z",
            stream=True,
            time_to_first_token_ms=41.5,
            api_key_id="team-b",
        ),
        record(
            9,
            request_id="request-0008",
            final=False,
            http_status=502,
            error_class="timeout",
            output_tokens=None,
        ),
    ]
    store.compact(records[:3])
    store.append(records[2:])
    store.append_access(
        [
            access_record("request-0003", received_at="2026-10-31T23:00:00.000Z", duration_ms=1236),
            access_record("request-0099", received_at="2026-11-02T12:00:00.000Z"),
        ]
    )
    return store


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("form", SUFFIXES)
def test_output_is_as_it_was_agreed(store: Store, name: str, form: str) -> None:
    files = {"BUDGETS": BUDGETS, "BILL": BILL}
    for file, text in files.items():
        (store.path / file).write_text(text)
    words = (*COMMANDS[name], "--format", form)
    arguments = [str(store.path / word) if word in files else word for word in words]
    result = run(None if arguments[0] in ("prices", "schema") else store, *arguments)
    assert result.exit_code == 0, result.output
    agreed(f"{name}.{SUFFIXES[form]}", result.stdout)


@pytest.mark.parametrize(("name", "form"), [("doctor", "json"), ("doctor", "csv"), ("report", "json")])
def test_what_passes_aside_output_is_as_it_was_agreed(store: Store, name: str, form: str) -> None:
    result = run(store, *PASSING_COMMANDS[name], "--format", form)
    assert result.exit_code in (0, 1), result.output
    text = result.stdout
    for pattern, word in PASSING:
        text = re.sub(pattern, word, text)
    agreed(f"{name}.{form}", text)


def agreed(name: str, text: str) -> None:
    """Compare a text with the golden one."""
    golden = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
