"""The evaluation against the project's own gateway and against the emulator, both as real processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.emulator import Emulator, running_emulator
from support.evaluation import gateway_eval, results
from support.gateway import KEY, Gateway, openai_endpoint, running_gateway


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(emulator: Emulator) -> Iterator[Gateway]:
    endpoints = [
        openai_endpoint("vectors", emulator.openai_url, "embeddings", "text-embedding-3-small"),
        openai_endpoint("chat", emulator.openai_url, model="gpt-4o-mini"),
    ]
    with running_gateway({"endpoints": endpoints}) as running:
        yield running


def test_smoke_suite_on_the_gateway(gateway: Gateway, emulator: Emulator, tmp_path: Path) -> None:
    emulator.reset()
    ended = gateway_eval(tmp_path, "run", gateway.url)
    assert ended.code == 0, ended
    summary = results(tmp_path)["summary"]
    stats = emulator.wait_until("in_flight == 0")
    assert summary["requests"] == 4
    # Two witnesses: what the evaluation was told, and what the provider says that it billed.
    assert summary["input_tokens"] == stats["input_tokens"]
    assert summary["output_tokens"] == stats["output_tokens"]
    assert summary["unpriced_requests"] == 0
    turns = [turn for case in results(tmp_path)["cases"] for turn in case["turns"]]
    logged = {record["request_id"] for record in gateway.records()}
    assert {turn["request_id"] for turn in turns} <= logged


def test_smoke_suite_on_an_openai_compatible_host(emulator: Emulator, tmp_path: Path) -> None:
    arguments = ["--endpoint", "gpt-4o-mini", "--provider", "openai", "--api-key-env", "PROVIDER_KEY"]
    ended = gateway_eval(tmp_path, "run", f"{emulator.base_url}/v1", *arguments, PROVIDER_KEY=KEY)
    assert ended.code == 0, ended
    assert results(tmp_path)["environment"]["api"] == "openai"
    assert results(tmp_path)["summary"]["unpriced_requests"] == 0


FAULTS = {
    "[emulator:rate_limit]": "rate_limit",
    "[emulator:quota]": "quota",
    "[emulator:server_error]": "provider",
    "[emulator:authentication]": "authentication",
    "[emulator:not_found]": "not_found",
    "[emulator:hang]": "timeout",
}


@pytest.mark.parametrize("through", ["gateway", "emulator"])
def test_faults_of_the_provider_are_told_apart(
    request: pytest.FixtureRequest, through: str, tmp_path: Path
) -> None:
    """Through the gateway only the message of an error is left, and the class is the same."""
    host: Any = request.getfixturevalue(through)
    url = host.url if through == "gateway" else host.base_url
    endpoint = "chat" if through == "gateway" else "gpt-4o-mini"
    cases = [
        {"name": fault, "messages": [{"role": "user", "content": f"Hi {fault}"}], "expect_error": expected}
        for fault, expected in FAULTS.items()
    ]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases))
    arguments = [
        "--cases",
        str(path),
        "--endpoint",
        endpoint,
        "--timeout",
        "2",
        "--api-key-env",
        "PROVIDER_KEY",
    ]
    ended = gateway_eval(tmp_path, "run", url, *arguments, PROVIDER_KEY=KEY)
    assert ended.code == 0, ended.out


@pytest.mark.parametrize(("through", "expected"), [("gateway", "provider"), ("emulator", "stream_cut")])
def test_cut_stream_is_told_apart(
    request: pytest.FixtureRequest, through: str, expected: str, tmp_path: Path
) -> None:
    """The gateway ends a stream that its provider cut with an error, so here nothing is cut."""
    host: Any = request.getfixturevalue(through)
    path = tmp_path / "cases.json"
    messages = [{"role": "user", "content": "What is AI? [emulator:cut_stream]"}]
    path.write_text(json.dumps([{"name": "cut", "messages": messages}]))
    url, endpoint = (host.url, "chat") if through == "gateway" else (host.base_url, "gpt-4o-mini")
    arguments = ["--cases", str(path), "--endpoint", endpoint, "--stream", "--api-key-env", "PROVIDER_KEY"]
    assert gateway_eval(tmp_path, "run", url, *arguments, PROVIDER_KEY=KEY).code == 1
    (case,) = results(tmp_path)["cases"]
    assert case["error"]["class"] == expected
    assert case["turns"][0]["output"], "what was said before the cut is kept"


def test_check_of_the_gateway_calls_no_model(gateway: Gateway, emulator: Emulator, tmp_path: Path) -> None:
    emulator.reset()
    ended = gateway_eval(tmp_path, "check", "--json", gateway.url)
    assert ended.code == 0
    (row,) = ended.json()["rows"]
    assert row["healthy"] is True
    assert row["version"]
    assert [endpoint["name"] for endpoint in row["endpoints"]] == ["vectors", "chat"]
    assert emulator.stats()["received"] == 0
