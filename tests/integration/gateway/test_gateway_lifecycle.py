"""Callers that leave, processes that are stopped or killed, and configurations that change under way."""

import json
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from support.emulator import Emulator
from support.gateway import KEY, Gateway, openai_endpoint, running_gateway, wait_until

HANG = [{"role": "user", "content": "[emulator:hang]"}]
SLOW_STREAM = "[emulator:tokens=200] [emulator:token_delay=0.02]"


def one_endpoint(emulator: Emulator, model: str = "gpt-4o") -> dict[str, Any]:
    return {"endpoints": [openai_endpoint("chat", emulator.openai_url, model=model)]}


def in_background(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start the work in a thread; the function returned waits for its result."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return lambda: future.result(60)


def test_a_caller_that_leaves_in_the_middle_of_a_stream(gateway: Gateway, emulator: Emulator) -> None:
    emulator.reset()
    stream = gateway.open_stream(SLOW_STREAM)
    stream.close()
    record = gateway.record_of(stream.response)
    assert (record["http_status"], record["error_class"]) == (499, "client_disconnect")
    assert (record["usage_source"], record["output_tokens"]) == ("partial", None)
    assert record["response_model"].startswith("gpt-4o")
    assert emulator.wait_until("in_flight == 0")["disconnected"] == 1  # no tokens are made for nobody


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_leaves_before_the_answer(gateway: Gateway, emulator: Emulator, stream: bool) -> None:
    emulator.reset()
    request_id = f"leaves-{stream}"

    messages = [{"role": "user", "content": "[emulator:hang]"}]
    body = json.dumps({"model": "chat", "stream": stream, "messages": messages})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"X-Request-ID: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(f"{head}{body}".encode())
        emulator.wait_until("in_flight == 1")
    wait_until(lambda: request_id in [r["request_id"] for r in gateway.records()], "its record")
    record = next(r for r in gateway.records() if r["request_id"] == request_id)
    assert (record["http_status"], record["error_class"]) == (499, "client_disconnect")
    assert (record["provider"], record["usage_source"]) == ("openai", None)
    assert emulator.wait_until("in_flight == 0")["received"] == 1  # the provider is not kept waiting


def test_a_caller_that_leaves_before_its_request_is_whole(gateway: Gateway) -> None:
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nHost: gateway\r\nX-Request-ID: half\r\nContent-Length: 100\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as connection:
        connection.sendall(head.encode() + b'{"model":')
    wait_until(lambda: "half" in [r["request_id"] for r in gateway.records()], "its record")
    record = next(r for r in gateway.records() if r["request_id"] == "half")
    assert (record["http_status"], record["error_class"], record["request_bytes"]) == (
        499,
        "client_disconnect",
        9,
    )


def test_a_kept_connection_serves_call_after_call(gateway: Gateway) -> None:
    with requests.Session() as session:
        answers = [
            session.post(
                f"{gateway.url}/gateway/chat/invocations",
                json={"messages": [{"role": "user", "content": "hi"}]},
            )
            for _ in range(5)
        ]
    for answer in answers:
        assert gateway.record_of(answer)["error_class"] is None


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_that_does_not_answer_in_time(emulator: Emulator, stream: bool) -> None:
    with running_gateway(one_endpoint(emulator), MLFLOW_GATEWAY_ROUTE_TIMEOUT_SECONDS="1") as gateway:
        answer = gateway.chat("[emulator:hang]", stream=stream)
        record = gateway.record_of(answer)
    assert answer.status_code == record["http_status"] == 504
    assert (record["error_class"], record["provider"]) == ("timeout", "openai")
    assert record["upstream_ms"] >= 900


def test_a_stream_outlives_the_heartbeat(emulator: Emulator) -> None:
    # Not less: a loaded machine may well stop a worker for a second.
    with running_gateway(one_endpoint(emulator), GATEWAY_WORKER_TIMEOUT="3") as gateway:
        before = gateway.workers()
        answer = gateway.chat("[emulator:tokens=220] [emulator:token_delay=0.03]", stream=True)
        assert answer.content
        record = gateway.record_of(answer)
        assert record["duration_ms"] > 6000
        assert (record["error_class"], record["output_tokens"]) == (None, 220)
        assert gateway.workers() == before


def test_a_stop_finishes_open_calls_and_writes_their_records(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), workers=2) as gateway:
        emulator.reset()
        stream = gateway.open_stream(SLOW_STREAM)
        whole = in_background(lambda: gateway.chat("[emulator:delay=3] hello"))
        emulator.wait_until("in_flight == 2")
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not gateway.accepts(), "an end to new connections")
        assert whole().status_code == 200
        assert b'"finish_reason":"stop"' in stream.rest()
        assert gateway.process.wait(30) == 0
        assert [r["error_class"] for r in gateway.wait_for_records(2)] == [None, None]
    assert emulator.stats()["completed"] == 2


def test_a_stop_that_can_not_wait_still_writes_the_records(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), GATEWAY_GRACEFUL_TIMEOUT="1") as gateway:
        emulator.reset()
        stream = gateway.open_stream("[emulator:tokens=2000] [emulator:token_delay=0.05]")
        assert gateway.stop() == 0
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            stream.rest()
        (record,) = gateway.wait_for_records(1)
    assert (record["http_status"], record["error_class"], record["usage_source"]) == (
        200,
        "gateway",
        "partial",
    )


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGQUIT])
def test_a_stop_at_once_waits_for_no_call_but_writes_its_record(
    emulator: Emulator, stop: signal.Signals
) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        stream = gateway.open_stream("[emulator:tokens=2000] [emulator:token_delay=0.05]")
        gateway.process.send_signal(stop)
        assert gateway.process.wait(20) == 0
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            stream.rest()
        (record,) = gateway.wait_for_records(1)
    assert (record["error_class"], record["usage_source"]) == ("gateway", "partial")


def test_a_killed_worker_is_replaced_and_loses_only_its_open_call(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        gateway.chat("before")
        stream = gateway.open_stream(SLOW_STREAM)
        (killed,) = gateway.workers()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: gateway.workers() not in ([], [killed]), "another worker")
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            stream.rest()
        assert gateway.chat("after").status_code == 200
        records = gateway.wait_for_records(2)
    assert [record["sequence"] for record in records] == [1, 1]
    assert len({record["boot_id"] for record in records}) == 2


def test_workers_whose_master_was_killed_finish_their_calls_and_free_the_port(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), workers=2) as gateway:
        stream = gateway.open_stream("[emulator:tokens=50] [emulator:token_delay=0.02]")
        gateway.process.kill()
        gateway.process.wait(10)
        assert b'"finish_reason":"stop"' in stream.rest()
        wait_until(lambda: not gateway.accepts(), "a free port")
        assert gateway.wait_for_records(1)[0]["error_class"] is None


def test_every_worker_counts_for_itself(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), workers=3) as gateway:
        with ThreadPoolExecutor(8) as pool:
            assert {a.status_code for a in pool.map(lambda _: gateway.chat("hello"), range(60))} == {200}
        records = gateway.wait_for_records(60)
        boots = Counter(record["boot_id"] for record in records)
        for boot_id, count in boots.items():
            sequences = sorted(record["sequence"] for record in records if record["boot_id"] == boot_id)
            assert sequences == list(range(1, count + 1))
        assert {file.name.split("-")[5] for file in gateway.spool.iterdir()} == {boot[:8] for boot in boots}


def test_a_changed_configuration_takes_over_without_losing_a_call(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        emulator.reset()
        stream = gateway.open_stream(SLOW_STREAM)
        gateway.config.write_text(yaml.safe_dump(one_endpoint(emulator, model="gpt-4o-mini")))
        wait_until(
            lambda: gateway.chat("hello").json().get("model", "").startswith("gpt-4o-mini"), "the new model"
        )
        assert b'"finish_reason":"stop"' in stream.rest()
        wait_until(lambda: len(gateway.workers()) == 1, "the old worker's end")
        digests = {record["config_digest"] for record in gateway.records()}
        errors = {record["error_class"] for record in gateway.records()}
    assert len(digests) == 2
    assert errors == {None}


def test_no_call_fails_while_configurations_change(emulator: Emulator) -> None:
    configs = [yaml.safe_dump(one_endpoint(emulator, model=model)) for model in ("gpt-4o", "gpt-4o-mini")]
    done = threading.Event()

    def ask_on(kept: bool) -> list[int]:
        statuses = []
        with requests.Session() as session:
            while not done.is_set():
                post = session.post if kept else requests.post
                body = {"messages": [{"role": "user", "content": "hello"}]}
                answer = post(f"{gateway.url}/gateway/chat/invocations", json=body, timeout=30)
                statuses.append(answer.status_code)
        return statuses

    with running_gateway(one_endpoint(emulator), workers=2) as gateway, ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(ask_on, kept) for kept in (True, False, True, False)]
        try:
            for count in range(1, 5):
                gateway.config.write_text(configs[count % 2])
                wait_until(lambda n=count: gateway.count_said("replacing workers") == n, "the reload")
            wait_until(lambda: len(gateway.workers()) == 2, "the last old worker's end")
        finally:
            done.set()
        statuses = [status for caller in callers for status in caller.result(60)]
        assert set(statuses) == {200}
        assert {record["error_class"] for record in gateway.wait_for_records(len(statuses))} == {None}


def test_a_broken_configuration_is_refused_and_the_one_before_serves_on(emulator: Emulator) -> None:
    good = one_endpoint(emulator)
    with running_gateway(good) as gateway:
        workers = gateway.workers()
        gateway.config.write_text(yaml.safe_dump(good | {"routes": [{"name": "chat", "destinations": []}]}))
        wait_until(lambda: gateway.said("not reloaded"), "the refusal")
        assert gateway.chat("hello").status_code == 200
        assert gateway.workers() == workers
        gateway.config.write_text(yaml.safe_dump(one_endpoint(emulator, model="gpt-4o-mini")))
        wait_until(
            lambda: gateway.chat("hello").json().get("model", "").startswith("gpt-4o-mini"), "the repair"
        )


def test_secrets_come_from_files_and_show_nowhere(emulator: Emulator, tmp_path: Path) -> None:
    config = one_endpoint(emulator)
    config["endpoints"][0]["model"]["config"]["openai_api_key"] = "$FILE_KEY"
    (tmp_path / "FILE_KEY").write_text(KEY + "-file\n")
    with running_gateway(config, GATEWAY_SECRETS_DIR=str(tmp_path), PROVIDER_KEY="") as gateway:
        assert gateway.chat("hello").status_code == 200
        for pid in [gateway.process.pid, *gateway.workers()]:
            assert KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
            assert KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        (tmp_path / "FILE_KEY").write_text("")
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: gateway.said("not reloaded"), "the refusal of a blank secret")
        assert gateway.chat("hello").status_code == 200
        assert KEY not in gateway.everything_written()


def test_a_changed_secret_is_used_after_hup(tmp_path: Path) -> None:
    from support.emulator import running_emulator

    (tmp_path / "FILE_KEY").write_text("old-key")
    with running_emulator(api_key=["new-key"]) as emulator:
        config = one_endpoint(emulator)
        config["endpoints"][0]["model"]["config"]["openai_api_key"] = "$FILE_KEY"
        with running_gateway(config, GATEWAY_SECRETS_DIR=str(tmp_path)) as gateway:
            assert gateway.chat("hello").status_code == 401
            (tmp_path / "FILE_KEY").write_text("new-key")
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: gateway.chat("hello").status_code == 200, "the new key")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8,198.51.100.0/24", "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        ("127.0.0.1", "192.0.2.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.7", "203.0.113.9", "127.0.0.1"),
    ],
)
def test_the_caller_is_who_a_trusted_proxy_says(
    emulator: Emulator, trusted: str, forwarded: str, expected: str
) -> None:
    with running_gateway(one_endpoint(emulator), FORWARDED_ALLOW_IPS=trusted) as gateway:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        answer = gateway.post("/gateway/chat/invocations", body, headers={"X-Forwarded-For": forwarded})
        assert gateway.record_of(answer)["client_address"] == expected


def test_limits_count_each_caller_behind_a_trusted_proxy(emulator: Emulator) -> None:
    config = one_endpoint(emulator)
    config["endpoints"][0]["limit"] = {"calls": 1, "renewal_period": "hour"}
    body = {"messages": [{"role": "user", "content": "hello"}]}
    with running_gateway(config) as gateway:
        statuses = [
            gateway.post("/gateway/chat/invocations", body, headers={"X-Forwarded-For": caller}).status_code
            for caller in ("203.0.113.1", "203.0.113.2", "203.0.113.1")
        ]
    assert statuses == [200, 200, 429]


def test_a_spool_that_can_not_be_written_stops_no_call(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator)) as gateway:
        gateway.spool.rmdir()
        assert [gateway.chat("hello").status_code for _ in range(3)] == [200, 200, 200]
        health = requests.get(f"{gateway.url}/health", timeout=10)
        assert (health.status_code, health.json()["status"]) == (200, "DEGRADED")
        wait_until(lambda: gateway.said("records wait in memory"), "the complaint")
        gateway.spool.mkdir()
        record = gateway.record_of(gateway.chat("hello"))
        assert record["sequence"] == 4
        assert len(gateway.wait_for_records(4)) == 4
        wait_until(lambda: gateway.said("written again from sequence 1"), "the all-clear")
        assert sum("records wait in memory" in line["message"] for line in gateway.log()) == 1


def test_many_callers_at_once_are_all_recorded(emulator: Emulator) -> None:
    with running_gateway(one_endpoint(emulator), workers=2) as gateway:
        emulator.reset()
        barrier = threading.Barrier(16)

        def ask(number: int) -> int:
            if number < 16:
                barrier.wait(20)
            answer = gateway.chat("hello", stream=number % 2 == 0)
            return len(answer.content)

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(ask, range(200)))
        records = gateway.wait_for_records(200)
        stats = emulator.stats()
    assert sum(record["output_tokens"] for record in records) == stats["output_tokens"]
    assert sum(record["input_tokens"] for record in records) == stats["input_tokens"]
    assert stats["completed"] == 200
