"""Every command in every format, byte for byte.

A wanted change: run with UPDATE_GOLDEN=1, look at the difference, commit it.
"""

import os
from pathlib import Path

import pytest

from support.analytics_store import FAILED, Store, record, run

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
    return store


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("form", SUFFIXES)
def test_output_is_as_it_was_agreed(store: Store, name: str, form: str) -> None:
    arguments = [*COMMANDS[name], "--format", form]
    result = run(None if arguments[0] in ("prices", "schema") else store, *arguments)
    assert result.exit_code == 0, result.output
    golden = GOLDEN / f"{name}.{SUFFIXES[form]}"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == golden.read_text(encoding="utf-8")
