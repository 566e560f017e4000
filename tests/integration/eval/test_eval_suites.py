"""The shipped suites against real hosts: a provider, the project's gateway, and stock MLflow beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_eval.cases import suite_names
from support.emulator import Emulator, running_emulator
from support.evaluation import gateway_eval, results
from support.gateway import KEY, Gateway, openai_endpoint, running_gateway
from support.stock_mlflow import running_stock_mlflow

# What MLflow's gateway itself, without this project, does otherwise than OpenAI.
NOT_IN_MLFLOW = {
    "models",
    "request-id",
    "chat-stream-ends-with-done",
    "error-of-an-unknown-model",
    "error-of-broken-json",
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(api_key=KEY, model="gpt-4o-mini") as running:
        yield running


def config(emulator: Emulator) -> dict[str, Any]:
    return {"endpoints": [openai_endpoint("chat", emulator.openai_url, model="gpt-4o-mini")]}


@pytest.fixture(scope="module")
def gateway(emulator: Emulator) -> Iterator[Gateway]:
    with running_gateway(config(emulator)) as running:
        yield running


@pytest.fixture(scope="module")
def stock(emulator: Emulator) -> Iterator[str]:
    with running_stock_mlflow(config(emulator)) as url:
        yield url


def outcomes(directory: Path, url: str) -> dict[str, tuple[Any, ...]]:
    """Return what came of each case on a host: status, and of each call class, tokens, cost and words."""
    return {
        case["name"]: (
            case["status"],
            [
                (
                    turn["http_status"],
                    turn["error_class"],
                    turn["usage"]["input_tokens"],
                    turn["usage"]["output_tokens"],
                    turn["cost_usd"],
                    turn["finish_reason"],
                    turn["output"] if turn["error_class"] is None else None,
                )
                for turn in case["turns"]
            ],
        )
        for case in results(directory)["cases"]
        if case["base_url"] == url
    }


@pytest.mark.parametrize("suite", suite_names())
def test_every_suite_passes_on_a_provider(emulator: Emulator, tmp_path: Path, suite: str) -> None:
    ended = gateway_eval(
        tmp_path,
        "run",
        emulator.base_url,
        "--suite",
        suite,
        "--provider",
        "openai",
        "--api-key-env",
        "K",
        K=KEY,
    )
    assert ended.code == 0, ended.out
    assert results(tmp_path)["summary"]["unpriced_requests"] == 0


@pytest.mark.parametrize("suite", ["smoke", "full", "streaming", "errors"])
def test_gateway_and_stock_mlflow_do_the_same(
    gateway: Gateway, stock: str, tmp_path: Path, suite: str
) -> None:
    ended = gateway_eval(tmp_path, "run", gateway.url, stock, "--suite", suite, "-j", "2")
    assert ended.code == 0, ended.out
    assert outcomes(tmp_path, gateway.url) == outcomes(tmp_path, stock)


def test_gateway_is_as_compatible_as_mlflow_and_more(gateway: Gateway, stock: str, tmp_path: Path) -> None:
    gateway_eval(tmp_path, "run", gateway.url, stock, "--suite", "compatibility")
    failed = {
        url: {name for name, (status, _) in outcomes(tmp_path, url).items() if status != "passed"}
        for url in (gateway.url, stock)
    }
    assert failed[stock] == NOT_IN_MLFLOW
    assert failed[gateway.url] < NOT_IN_MLFLOW
