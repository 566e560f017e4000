"""Limits of keys: never more than the limit in any minute, over all processes together."""

import multiprocessing
import os
import time
from multiprocessing.connection import Connection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_serve.limits import Limits


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: float = 1000.0) -> None:
        self.now = now
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_requests_up_to_the_limit_and_again_when_the_wait_is_over(clock: Clock) -> None:
    limits = Limits()
    assert [limits.take("a", 3, None) for _ in range(3)] == [None] * 3
    excess = limits.take("a", 3, None)
    assert excess is not None
    assert (excess.what, excess.limit, excess.used) == ("requests", 3, 3)
    clock.now += excess.seconds - 1
    assert limits.take("a", 3, None) is not None
    clock.now += 1
    assert limits.take("a", 3, None) is None


def test_keys_do_not_share_limits() -> None:
    limits = Limits()
    assert limits.take("a", 1, None) is None
    assert limits.take("b", 1, None) is None
    assert limits.take("a", 1, None) is not None


def test_tokens_are_counted_after_the_call_and_keep_the_next_one_out(clock: Clock) -> None:
    limits = Limits()
    assert limits.take("a", None, 100) is None
    limits.add_tokens("a", 60)
    clock.now += 10
    assert limits.take("a", None, 100) is None
    limits.add_tokens("a", 90)
    excess = limits.take("a", None, 100)
    assert excess is not None
    assert (excess.what, excess.used) == ("tokens", 150)
    clock.now += excess.seconds
    # The first 60 are forgotten, 90 are left.
    assert limits.take("a", None, 100) is None
    assert limits.take("a", None, 90) is not None


def test_what_is_kept_out_does_not_count() -> None:
    limits = Limits()
    assert limits.take("a", 5, 10) is None
    limits.add_tokens("a", 10)
    for _ in range(10):
        assert limits.take("a", 5, 10) is not None
    assert [limits.take("a", 5, None) for _ in range(4)] == [None] * 4


def test_more_keys_than_places_take_those_that_lie_idle(clock: Clock) -> None:
    limits = Limits(slots=4)
    for turn in range(5):
        for key in (f"{turn}-{number}" for number in range(4)):
            assert limits.take(key, 1, None) is None
            assert limits.take(key, 1, None) is not None
        clock.now += 61


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=60), st.integers(1, 5), st.floats(0, 100))
def test_no_minute_sees_more_than_the_limit(pauses: list[float], limit: int, begin: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock(patch, begin)
        limits = Limits(slots=2)
        taken: list[float] = []
        for pause in pauses:
            clock.now += pause
            excess = limits.take("a", limit, None)
            if excess is None:
                taken.append(clock.now)
            else:
                assert 1 <= excess.seconds <= 61
        for moment in taken:
            assert sum(moment <= other < moment + 60 for other in taken) <= limit


def _take_all(limits: Limits, result: Connection) -> None:
    result.send(sum(limits.take("a", 500, None) is None for _ in range(400)))


def test_forked_processes_share_one_limit() -> None:
    limits = Limits()
    limits.take("before the fork", 1, None)
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe(duplex=False) for _ in range(4)]
    workers = [fork.Process(target=_take_all, args=(limits, sender)) for _, sender in pipes]
    for worker in workers:
        worker.start()
    taken = [receiver.recv() if receiver.poll(60) else None for receiver, _ in pipes]
    for worker in workers:
        worker.join()
    assert sum(count for count in taken if count is not None) == 500, taken
    assert limits.take("a", 500, None) is not None


def test_a_process_that_is_killed_blocks_nobody() -> None:
    limits = Limits()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with limits._locked():
                os.write(writer, b"x")
                time.sleep(600)
        finally:
            os._exit(1)
    os.read(reader, 1)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert limits.take("a", 1, None) is None
