"""A spool that takes no more records: calls go on or are refused as set, and nothing is hidden."""

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from support.emulator import Emulator
from support.gateway import Gateway, openai_endpoint, running_gateway, wait_until


def one_endpoint(emulator: Emulator) -> dict[str, Any]:
    return {"endpoints": [openai_endpoint("chat", emulator.openai_url)]}


@contextmanager
def full_disk(gateway: Gateway) -> Iterator[None]:
    """Let no file of the workers grow: a write then ends as on a full disk, in the middle of a record."""
    room = max(file.stat().st_size for file in gateway.spool.iterdir()) + 100
    for worker in gateway.workers():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    yield
    for worker in gateway.workers():
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def health(gateway: Gateway) -> tuple[int, str]:
    answer = requests.get(f"{gateway.url}/health", timeout=10)
    return answer.status_code, answer.json()["status"]


def metric(gateway: Gateway, name: str) -> float:
    text = requests.get(f"{gateway.url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"llm_gateway_{name}"
    )


def test_a_full_disk_stops_no_call_and_loses_no_record(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        assert gateway.chat("hello").status_code == 200
        gateway.wait_for_records(1)
        assert (health(gateway), metric(gateway, "request_log_writable")) == ((200, "OK"), 1)
        with full_disk(gateway):
            assert [gateway.chat("hello").status_code for _ in range(5)] == [200] * 5
            wait_until(lambda: health(gateway) == (200, "DEGRADED"), "health to show it")
            assert metric(gateway, "request_log_writable") == 0
        # Nobody calls, and health finds out by itself that there is room again.
        wait_until(lambda: health(gateway) == (200, "OK"), "health to be well")
        assert metric(gateway, "request_log_writable") == 1
        assert gateway.chat("hello").status_code == 200
        wait_until(lambda: gateway.records()[-1]["sequence"] == 7, "the last record")
        sequences = {record["sequence"] for record in gateway.records()}  # every line is JSON
        assert sequences == set(range(1, 8))
        assert metric(gateway, "request_records_lost_total") == 0
        assert metric(gateway, "request_records_written_total") == 7
        assert all(file.suffix == ".jsonl" for file in gateway.spool.iterdir())


def test_where_records_are_required_a_full_disk_stops_calls(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), GATEWAY_REQUEST_LOG_REQUIRED="true") as gateway:
        assert gateway.chat("hello").status_code == 200
        gateway.wait_for_records(1)
        with full_disk(gateway):
            wait_until(lambda: health(gateway) == (503, "UNHEALTHY"), "health to show it")
            emulator.reset()
            refused = gateway.chat("hello")
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "request_log_unavailable"
            assert int(refused.headers["retry-after"]) > 0
            assert emulator.stats()["received"] == 0
        wait_until(lambda: health(gateway) == (200, "OK"), "health to be well")
        assert gateway.chat("hello").status_code == 200
        wait_until(lambda: gateway.records()[-1]["sequence"] == 3, "the last record")
        assert all(record["error_class"] in (None, "gateway") for record in gateway.records())


def test_a_spool_that_goes_away_is_seen_before_the_next_call(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        gateway.spool.rmdir()
        wait_until(lambda: health(gateway) == (200, "DEGRADED"), "health to show it")
        gateway.spool.mkdir()
        wait_until(lambda: health(gateway) == (200, "OK"), "health to be well")
        assert list(gateway.spool.iterdir()) == []


@pytest.mark.parametrize("victims", ["workers", "all"])
def test_a_kill_loses_only_calls_under_way(emulator: Emulator, victims: str) -> None:
    with running_gateway(one_endpoint(emulator), workers=2) as gateway:
        for _ in range(8):
            assert gateway.chat("hello", stream=True).content
        gateway.wait_for_records(8)
        stream = gateway.open_stream("[emulator:tokens=5000] [emulator:token_delay=0.02]")
        for process in [*([gateway.process.pid] if victims == "all" else []), *gateway.workers()]:
            os.kill(process, signal.SIGKILL)
        with pytest.raises(requests.RequestException):
            stream.rest()
        lines = [line for file in gateway.spool.iterdir() for line in file.read_bytes().splitlines()]
        assert len([json.loads(line) for line in lines]) == 8
