"""Metrics: the same numbers as the records, whichever worker is asked, and whichever worker has died."""

import hashlib
import importlib.metadata
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from support.gateway import Gateway, running_gateway, wait_until


@pytest.fixture
def measured(config: dict[str, Any]) -> Iterator[Gateway]:
    with running_gateway(config, workers=2) as running:
        yield running


def metrics(gateway: Gateway) -> Callable[..., float]:
    """Return a function that adds up the samples of a name, among those with the given labels."""
    answer = requests.get(f"{gateway.url}/metrics", timeout=10)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]

    def total(name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in samples
            if sample.name == f"llm_gateway_{name}" and labels.items() <= sample.labels.items()
        )

    return total


def test_metrics_equal_the_records(measured: Gateway) -> None:
    for _ in range(6):
        assert measured.chat("hello").status_code == 200
    for _ in range(3):
        assert measured.chat("hello", stream=True).content
    assert measured.chat("[emulator:status=429]").status_code == 429
    assert measured.chat("hello", endpoint="nonesuch-canary").status_code == 404
    assert measured.chat("hello", endpoint="split").status_code == 200
    assert measured.chat("hello", endpoint="refused").status_code == 502
    records = measured.wait_for_records(13)
    wait_until(lambda: metrics(measured)("calls_total") == 13, "all calls to be counted")
    # Whichever worker answers says the same.
    for total in [metrics(measured) for _ in range(8)]:
        assert total("calls_total", endpoint="chat", provider="openai", operation="chat", status="200") == 9
        assert total("calls_total", endpoint="chat", status="429", error_class="rate_limit") == 1
        assert total("calls_total", endpoint="split", status="200", error_class="") == 1
        assert total("calls_total", endpoint="", status="404", error_class="not_found") == 1
        assert total("upstream_errors_total", endpoint="chat", error_class="rate_limit") == 1
        assert total("upstream_errors_total", endpoint="refused", error_class="network") == 1
        for direction in ("input", "output"):
            expected = sum(record[f"{direction}_tokens"] or 0 for record in records)
            assert total("tokens_total", direction=direction) == expected > 0
        assert total("call_duration_seconds_count") == 13
        assert total("call_duration_seconds_sum") == pytest.approx(
            sum(record["duration_ms"] for record in records) / 1000, abs=0.001
        )
        assert total("time_to_first_token_seconds_count", endpoint="chat") == 3
        assert total("request_records_written_total") == 13
        assert total("request_records_lost_total") == 0
        assert total("calls_in_flight") == 0
        assert total("request_log_writable") == 1
    # What callers make up is no label: it would grow without bound.
    assert "canary" not in requests.get(f"{measured.url}/metrics", timeout=10).text


def test_calls_under_way_are_seen_and_a_dead_worker_takes_only_those_along(measured: Gateway) -> None:
    for _ in range(10):
        assert measured.chat("hello").status_code == 200
    wait_until(lambda: metrics(measured)("calls_total") == 10, "all calls to be counted")
    streams = [measured.open_stream("[emulator:tokens=5000] [emulator:token_delay=0.02]") for _ in range(4)]
    wait_until(lambda: metrics(measured)("calls_in_flight") == 4, "the open calls to be counted")
    killed = measured.workers()
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(set(measured.workers()) - set(killed)) == 2, "new workers")
    wait_until(lambda: metrics(measured)("calls_in_flight") == 0, "the lost calls to be forgotten")
    assert metrics(measured)("calls_total") == 10
    assert measured.chat("hello").status_code == 200
    wait_until(lambda: metrics(measured)("calls_total") == 11, "the count to go on")
    for stream in streams:
        stream.close()


def test_both_pages_say_what_runs(measured: Gateway) -> None:
    version = importlib.metadata.version("mlflow-gateway-fleet")
    assert requests.get(f"{measured.url}/health", timeout=10).json() == {"status": "OK", "version": version}
    digest = measured.wait_for_records(1)[0]["config_digest"] if measured.chat("hello").ok else ""
    assert metrics(measured)("build_info", version=version, config_digest=digest) == 1
    measured.config.write_text(f"{measured.config.read_text()}\n# another version of it\n")
    changed = hashlib.sha256(measured.config.read_bytes()).hexdigest()[:12]
    wait_until(lambda: metrics(measured)("build_info", config_digest=changed) == 1, "the new one", 60)
    wait_until(lambda: metrics(measured)("build_info") == 1, "the workers of the old one to end", 60)


def test_a_reload_keeps_the_counts(measured: Gateway) -> None:
    assert measured.chat("hello").status_code == 200
    before = measured.workers()
    measured.process.send_signal(signal.SIGHUP)
    wait_until(lambda: not set(measured.workers()) & set(before), "new workers")
    assert measured.chat("hello").status_code == 200
    wait_until(lambda: metrics(measured)("calls_total") == 2, "both calls to be counted")


def test_a_worker_that_stops_says_so(config: dict[str, Any]) -> None:
    with running_gateway(config, GATEWAY_LINGER="30") as gateway, requests.Session() as session:

        def status() -> int:
            return session.get(f"{gateway.url}/health", timeout=10).status_code

        assert status() == 200
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status() == 503, "the open connection to be told")
        assert gateway.process.wait(30) == 0
