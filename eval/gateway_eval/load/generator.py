"""Sends the calls of a load: when they are due, or as soon as a caller is free."""

import asyncio
import contextlib
import gc
import math
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator

from gateway_eval.load.caller import Caller
from gateway_eval.load.connection import Connection, connect_failure
from gateway_eval.load.measurement import Measurement
from gateway_eval.load.plan import Plan
from gateway_eval.load.sample import Sample
from gateway_eval.load.spending import Spending

# After a call for which there was no connection, a caller waits: a host that is down is not to be hammered.
_PAUSE_AFTER_TROUBLE = 0.1
# A load whose first calls all fail goes on for no longer than this many.
_HOPELESS = 100
# An open loop looks this often whether it is over, in seconds.
_LONGEST_SLEEP = 0.2
# An open loop that is late still reads answers after so many calls.
_SENT_A_TURN = 64
# How often the delay of this program's own event loop is looked at, in seconds.
_HEARTBEAT = 0.02


class Generator:
    """Puts one load on a host. `bodies` gives the JSON of each call, without end."""

    def __init__(
        self,
        plan: Plan,
        caller: Caller,
        bodies: Iterator[bytes],
        measurement: Measurement,
        spending: Spending | None = None,
    ) -> None:
        self._plan = plan
        self._caller = caller
        self._bodies = bodies
        self._measurement = measurement
        self._spending = spending
        self._address = caller.address
        self._head = caller.head()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiting: deque[Sample] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._callers = 0
        self._begun = 0
        self._all = math.inf if plan.requests is None or plan.rate is not None else plan.requests
        self._sending = True
        self._over = asyncio.Event()
        """No further call is sent."""
        self._quiet = asyncio.Event()
        """None is under way any more."""
        self._bug: BaseException | None = None

    def stop(self, why: str) -> None:
        """Send no further call. Those under way are waited for if it is because of the budget."""
        self._measurement.stopped = self._measurement.stopped or why
        self._over.set()
        if why == "budget":
            self._measurement.give_up(len(self._waiting))
            self._waiting.clear()

    async def run(self, watch: Callable[[], None], every: float) -> None:
        """Put on the load, to its end; `watch` is called every so many seconds meanwhile.

        Calls under way at the end have the plan's timeout to end.
        """
        gc.collect()
        gc.freeze()  # what is there already is not looked through again and again
        await self._locate()
        measurement = self._measurement
        measurement.start()
        helpers = [asyncio.create_task(self._heartbeat()), asyncio.create_task(_repeat(watch, every))]
        try:
            if self._plan.rate is not None:
                await self._open_loop()
            else:
                await self._closed_loop()
            self._sending = False
            measurement.stop_clock()
            await self._drain()
        finally:
            measurement.finish()
            for task in [*helpers, *self._tasks]:
                task.cancel()
            for connection in list(self._open):
                connection.close()
            gc.unfreeze()
        if self._bug is not None:
            raise self._bug

    async def _locate(self) -> None:
        """Resolve the host's name once, to the address that takes connections."""
        loop = asyncio.get_running_loop()
        host, port = self._address
        with contextlib.suppress(OSError, TimeoutError):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for *_, address in found:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self._plan.timeout):
                        transport, _ = await loop.create_connection(asyncio.Protocol, *address[:2])
                    transport.abort()
                    self._address = str(address[0]), int(address[1])
                    return

    async def _open_loop(self) -> None:
        measurement = self._measurement
        for due in self._plan.arrivals():
            moment = measurement.began + due
            while not self._over.is_set():
                ahead = moment - time.perf_counter()
                if ahead <= 0:
                    break
                # At least a millisecond, the unit of the loop's timers: anything less would be a busy wait.
                await asyncio.sleep(min(max(ahead, 0.001), _LONGEST_SLEEP))
            if self._over.is_set():
                return
            self._start(Sample(moment))
            self._begun += 1
            if self._begun % _SENT_A_TURN == 0:
                await asyncio.sleep(0)
        end = measurement.measured_until
        if end is not None:
            await self._wait(end - time.perf_counter())

    async def _closed_loop(self) -> None:
        measurement, plan = self._measurement, self._plan
        while True:
            now = time.perf_counter()
            for _ in range(plan.callers_at(now - measurement.began) - self._callers):
                self._callers += 1
                self._next_of_caller(None)
            end = measurement.measured_until
            ramping = self._callers < (plan.concurrency or 0)
            left = 3600.0 if end is None else end - now
            if left <= 0 or await self._wait(min(left, 0.01) if ramping else left):
                return

    async def _wait(self, seconds: float) -> bool:
        """Wait, but not beyond the end of the load; tell whether that has come."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(seconds, 0))
        return self._over.is_set()

    async def _drain(self) -> None:
        """Wait for the calls that are under way, unless the load was ended at once."""
        if self._measurement.in_flight and self._measurement.stopped in (None, "budget"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), self._plan.timeout + 1)

    async def _heartbeat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _HEARTBEAT
            await asyncio.sleep(_HEARTBEAT)
            self._measurement.note_lag(loop.time() - due)

    def _next_of_caller(self, connection: Connection | None) -> None:
        """Let a caller of the closed loop make its next call, on its own connection where that holds."""
        plan, measurement = self._plan, self._measurement
        now = time.perf_counter()
        if not self._sending or self._over.is_set():
            return
        if plan.requests is not None and measurement.is_measured(now):
            if self._begun >= plan.requests:
                return
            self._begun += 1
        self._start(Sample(now), connection)

    def _start(self, sample: Sample, connection: Connection | None = None) -> None:
        self._measurement.begin(sample)
        self._dispatch(sample, connection)

    def _dispatch(self, sample: Sample, connection: Connection | None = None) -> None:
        while connection is None and self._idle:
            candidate = self._idle.pop()
            connection = candidate if candidate.usable else None
        if connection is not None:
            self._send(connection, sample)
        elif len(self._open) + self._connecting < self._plan.max_connections:
            self._connecting += 1
            task = asyncio.create_task(self._connect(sample))
            self._tasks.add(task)
            task.add_done_callback(self._connected)
        else:
            sample.waited = True
            self._waiting.append(sample)

    def _send(self, connection: Connection, sample: Sample) -> None:
        body = next(self._bodies)
        connection.send(sample, b"%b%d\r\n\r\n%b" % (self._head, len(body), body), self._plan.timeout)

    async def _connect(self, sample: Sample) -> None:
        caller, timeout = self._caller, self._plan.timeout
        began = time.perf_counter()
        try:
            async with asyncio.timeout(timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(stream=caller.stream, on_done=self._done, on_lost=self._lost),
                    *self._address,
                    ssl=caller.tls,
                    server_hostname=caller.address[0] if caller.tls else None,
                )
        except (OSError, TimeoutError) as error:
            self._connecting -= 1
            sample.sent, sample.ended = began, time.perf_counter()
            sample.failure = connect_failure(error, timeout)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE if self._plan.rate is None else 0)
            self._settle(sample, None)
            return
        self._connecting -= 1
        self._open.add(connection)
        self._measurement.connections += 1
        self._send(connection, sample)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._bug = bug
            self._over.set()

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)

    def _done(self, connection: Connection, sample: Sample) -> None:
        if not connection.usable:
            self._open.discard(connection)
        self._settle(sample, connection if connection.usable else None)

    def _settle(self, sample: Sample, connection: Connection | None) -> None:
        """Count a call that has ended, and use what it leaves free."""
        measurement = self._measurement
        measurement.end(sample)
        if measurement.all_failed(_HOPELESS):
            self.stop("hopeless")
        elif self._spending is not None and not self._spending.allows_more_after(sample):
            self.stop("budget")
        if self._plan.rate is None:
            self._next_of_caller(connection)
        elif self._waiting and not self._over.is_set():
            self._dispatch(self._waiting.popleft(), connection)
        elif connection is not None:
            self._idle.append(connection)
        if measurement.in_flight == 0 and (self._begun >= self._all or not self._sending):
            self._over.set()
            self._quiet.set()


async def _repeat(action: Callable[[], None], every: float) -> None:
    while True:
        await asyncio.sleep(every)
        action()
