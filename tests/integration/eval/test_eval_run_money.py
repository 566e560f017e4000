"""`gateway-eval run`: what its calls cost, and when it stops spending."""

import json
import subprocess
from pathlib import Path

import pytest

from support.evaluation import (
    BROKEN,
    GOOD,
    PROGRAM,
    QUOTA,
    gateway_eval,
    results,
    write_cases,
)
from support.hostile_server import (
    HostileServer,
    completion,
    event,
    http,
    reset,
    stream,
)


# A call costs $0.0000045: 10 tokens in and 5 out of gpt-4o-mini.
@pytest.mark.parametrize(("limit", "calls", "code"), [("0.0000045", 1, 1), ("0.000005", 2, 1), ("1", 4, 0)])
def test_budget_stops_the_run(host: HostileServer, tmp_path: Path, limit: str, calls: int, code: int) -> None:
    cases = write_cases(tmp_path, *({"name": str(n)} for n in range(4)))
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", limit)
    assert ended.code == code
    assert len(host.calls) == calls


def test_budget_spent_by_the_last_call_is_told(host: HostileServer, tmp_path: Path) -> None:
    cases = write_cases(tmp_path, {"name": "a"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", "0.000001")
    assert ended.code == 1
    assert "more than --max-cost" in ended.err


def test_budget_that_cannot_be_watched_stops_the_run(host: HostileServer, tmp_path: Path) -> None:
    """A model without a price must not count as free."""
    host.gets["/api/2.0/endpoints/"] = http(
        200,
        {
            "endpoints": [
                {
                    "name": "chat",
                    "endpoint_type": "llm/v1/chat",
                    "model": {"name": "mystery", "provider": "nobody"},
                }
            ]
        },
    )
    cases = write_cases(tmp_path, {"name": "a"}, {"name": "b"})
    ended = gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--max-cost", "1")
    assert ended.code == 1
    assert len(host.calls) == 1
    assert "could not be priced" in ended.err
    document = results(tmp_path)
    assert document["summary"]["cost_usd"] is None
    assert document["summary"]["unpriced_requests"] == 1
    assert document["cases"][0]["turns"][0]["cost_source"] is None


def test_own_prices(host: HostileServer, tmp_path: Path) -> None:
    book = tmp_path / "prices.yml"
    book.write_text(
        "schema_version: 1\nprices:\n"
        "  - {provider: openai, model: gpt-4o-mini, valid_from: 2020-01-01,"
        ' usd_per_million: {input: "1000000", output: "2000000"}}\n'
    )
    cases = write_cases(tmp_path, {"name": "a"})
    assert gateway_eval(tmp_path, "run", host.url, "--cases", cases, "--prices", str(book)).code == 0
    assert results(tmp_path)["summary"]["cost_usd"] == "20.00"


def test_cost_stated_by_the_provider_wins(host: HostileServer, tmp_path: Path) -> None:
    answer = completion()
    answer["usage"]["cost"] = 0.00042
    host.will(http(200, answer))
    gateway_eval(tmp_path, "run", host.url, "--cases", write_cases(tmp_path, {"name": "a"}))
    (turn,) = results(tmp_path)["cases"][0]["turns"]
    assert (turn["cost_usd"], turn["cost_source"]) == ("0.00042", "provider")


def test_gateway_analytics_reads_the_same_cost_from_the_results(host: HostileServer, tmp_path: Path) -> None:
    late = http(504, b"<html></html>", "text/html")
    host.will(
        GOOD, http(200, {"choices": []}), QUOTA, BROKEN, late, reset, stream(event({"content": "cut"})), GOOD
    )
    cases = write_cases(tmp_path, *({"name": str(n), "stream": n == 6} for n in range(8)))
    gateway_eval(tmp_path, "run", host.url, "--cases", cases)
    summary = results(tmp_path)["summary"]
    analytics = PROGRAM.replace("gateway-eval", "gateway-analytics")
    ended = subprocess.run(
        [analytics, "costs", "--results", "gateway_results.json", "--format", "json"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    totals = json.loads(ended.stdout)["totals"]
    for name in ("requests", "input_tokens", "output_tokens", "cost_usd", "unpriced_requests"):
        assert totals[name] == summary[name], name
    # The answer without choices, the one that came too late and the cut stream.
    assert summary["unpriced_requests"] == 3
