"""Callers that leave at random: the records agree with what the provider itself counted, call by call.

A long run: CALLS=100000 pytest tests/integration/gateway/behaviour/test_leaving_callers.py
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiohttp
import click
import pytest

from support.emulator import Emulator, running_emulator
from support.gateway import Gateway, openai_endpoint, running_gateway, wait_until

CALLS = int(os.environ.get("CALLS", "2000"))
CALLERS = 48


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Yield an emulator that remembers every call, and takes long enough for callers to leave meanwhile."""
    with running_emulator(keep=CALLS + 1000, delay_ms=3, token_delay_ms=0.5) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(emulator: Emulator) -> Iterator[Gateway]:
    with running_gateway({"endpoints": [openai_endpoint("chat", emulator.openai_url)]}, workers=2) as running:
        yield running


class Callers:
    """So many callers at a time; `whole` holds the ids of calls that were answered to the end."""

    def __init__(self, url: str, seed: int) -> None:
        self.whole: set[str] = set()
        self.left: set[str] = set()
        self._url = f"{url}/v1/chat/completions"
        self._random = random.Random(seed)
        self._numbers = iter(range(CALLS))

    async def run(self) -> None:
        """Make all calls."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(self._caller(session) for _ in range(CALLERS)))

    async def _caller(self, session: aiohttp.ClientSession) -> None:
        for number in self._numbers:
            call_id = f"call-{number}"
            stream = self._random.random() < 0.5
            tokens = self._random.randrange(1, 40)
            body: dict[str, Any] = {
                "model": "chat",
                "messages": [
                    {"role": "user", "content": f"[emulator:id={call_id}] [emulator:tokens={tokens}]"}
                ],
                "stream": stream,
            }
            # A third leaves: after some time, or in the middle of the stream.
            leaves = self._random.random() < 1 / 3
            patience = self._random.uniform(0, 0.03) if leaves else None
            events = (
                self._random.randrange(tokens + 2)
                if leaves and stream and self._random.random() < 0.7
                else None
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience if events is None else None):
                    await self._call(session, call_id, body, events)
            if call_id not in self.whole:
                self.left.add(call_id)

    async def _call(
        self, session: aiohttp.ClientSession, call_id: str, body: dict[str, Any], events: int | None
    ) -> None:
        headers = {"X-Request-ID": call_id}
        async with session.post(self._url, json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if events is not None and line.startswith(b"data:"):
                    events -= 1
                    if events < 0:
                        response.close()  # not to be used again: the caller hangs up
                        return
        self.whole.add(call_id)


def test_the_records_are_what_the_provider_counted(
    gateway: Gateway, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    callers = Callers(gateway.url, seed=20260131)
    asyncio.run(callers.run())
    emulator.wait_until("in_flight == 0", 30)  # what nobody waits for was stopped
    served = {call["request_id"]: call for call in emulator.requests(CALLS + 1000)}
    assert len(served) == emulator.stats()["received"]  # no call was sent twice
    wait_until(
        lambda: {one["request_id"] for one in gateway.records()} >= set(served) | callers.whole, "records", 60
    )
    records = gateway.records()
    by_id = {record["request_id"]: record for record in records}
    assert len(by_id) == len(records)  # one record a call
    assert all(record["final"] for record in records)
    for boot in {record["boot_id"] for record in records}:
        numbers = sorted(record["sequence"] for record in records if record["boot_id"] == boot)
        assert numbers == list(range(1, len(numbers) + 1))

    for call_id in callers.whole:
        assert (by_id[call_id]["http_status"], by_id[call_id]["error_class"]) == (200, None), by_id[call_id]
        assert by_id[call_id]["usage_source"] == "provider"
    ends = Counter((record["http_status"], record["error_class"]) for record in records)
    assert set(ends) == {(200, None), (499, "client_disconnect")}

    counted = [one for one in records if one["usage_source"] == "provider"]
    for record in counted:
        call = served[record["request_id"]]
        assert (record["input_tokens"], record["output_tokens"]) == (
            call["input_tokens"],
            call["output_tokens"],
        )
    # What the provider sent to callers that had left is in no record as its count; it is never a zero.
    for call_id in set(served) - {one["request_id"] for one in counted}:
        record = by_id[call_id]
        assert record["error_class"] == "client_disconnect"
        assert record["usage_source"] in (None, "partial")
        assert record["input_tokens"] != 0
    with capsys.disabled():
        click.echo(report(callers, records, served, counted))


def report(
    callers: Callers, records: list[dict[str, Any]], served: dict[str, Any], counted: list[dict[str, Any]]
) -> str:
    """Return what was seen, in one paragraph."""
    tokens = sum(one["input_tokens"] + one["output_tokens"] for one in counted)
    all_tokens = sum(call["input_tokens"] + call["output_tokens"] for call in served.values())
    partial = sum((one["input_tokens"] or 0) + (one["output_tokens"] or 0) for one in records) - tokens
    return (
        f"\n{CALLS} calls, {len(callers.left)} left by their callers: {len(records)} records, no two of one "
        f"call; {CALLS - len(records)} calls never came in. {len(served)} reached the provider, each has its "
        f"record; {len(counted)} records carry its own count, equal in every one ({tokens} tokens). It sent "
        f"{all_tokens - tokens} tokens more to callers that had left; records estimate those at {partial}."
    )
