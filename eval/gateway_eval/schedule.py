"""The order in which a run's cases go to its hosts, and how many are under way at once."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway_eval.cases import Case
from gateway_eval.failure import Failure, FailureClass
from gateway_eval.results import CaseResult, HostRecord, RunResult
from gateway_eval.runner import Runner

# How long calls under way may take to notice that they were given up.
_WIND_UP_S = 2.0


@dataclass(frozen=True)
class Job:
    """A case to be run for the n-th time on a host; without a runner the host cannot be called."""

    case: Case
    repeat: int
    host: HostRecord
    runner: Runner | None


def plan(cases: Sequence[Case], repeat: int, hosts: Sequence[tuple[HostRecord, Runner | None]]) -> list[Job]:
    """Return the jobs in order: each case on every host, one after the other, then the next case."""
    return [
        Job(case, number, host, runner)
        for number in range(1, repeat + 1)
        for case in cases
        for host, runner in hosts
    ]


class Schedule:
    """Runs jobs in threads, so many at once, into a `RunResult`.

    The results keep the order of the plan. `told` is called, in the caller's thread, with each case that has
    ended and how many have.
    """

    def __init__(self, at_once: int, *, fail_fast: bool, told: Callable[[CaseResult, int], None]) -> None:
        self._at_once = at_once
        self._fail_fast = fail_fast
        self._told = told
        self._no_more = threading.Event()
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._bug: Exception | None = None

    def pause(self, seconds: float) -> bool:
        """Wait, and tell whether the run was given up meanwhile."""
        return self._given_up.wait(seconds)

    def run(self, jobs: Sequence[Job], result: RunResult) -> None:
        """Run all jobs. An interruption ends it, and so does a bug, which is raised; what was done stays."""
        result.planned = len(jobs)
        started: dict[int, CaseResult] = {}
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        waiting = iter(enumerate(jobs))
        workers = [
            threading.Thread(target=self._work, args=(waiting, started, ended), daemon=True)
            for _ in range(min(self._at_once, len(jobs)))
        ]
        try:
            for worker in workers:
                worker.start()
            for done in range(1, len(jobs) + 1):
                position = self._next(ended, workers)
                if position is None:
                    break
                if self._bug is not None:
                    raise self._bug
                self._take_note(started[position], done, result)
        except KeyboardInterrupt:
            result.stopped = "interrupted"
            self._give_up(jobs, workers)
        finally:
            for position in sorted(started):
                case = started[position]
                if result.stopped == "interrupted" and case.error is None and not case.duration_ms:
                    case.error = Failure.of(FailureClass.INTERRUPTED, "interrupted")
                result.cases.append(case)

    def _next(self, ended: "queue.SimpleQueue[int]", workers: list[threading.Thread]) -> int | None:
        """Return the next job that has ended; None once nothing runs any more."""
        while True:
            try:
                return ended.get(timeout=0.2)
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers) and ended.empty():
                    return None

    def _work(
        self,
        waiting: "enumerate[Job]",
        started: dict[int, CaseResult],
        ended: "queue.SimpleQueue[int]",
    ) -> None:
        while True:
            with self._lock:
                position, job = next(waiting, (-1, None))
                if job is None or self._no_more.is_set():
                    return
                case = CaseResult(job.case.name, job.repeat, base_url=job.host.base_url, host=job.host.name)
                started[position] = case
            try:
                if job.runner is not None:
                    job.runner.run(job.case, case)
                else:
                    case.error = job.host.failure
            except Exception as bug:  # raised again where it is seen
                self._bug = bug
                case.error = Failure.of(FailureClass.INTERRUPTED, "a bug in this program")
            if self._bug is not None or self._reason_to_stop(case):
                self._no_more.set()
            ended.put(position)

    def _reason_to_stop(self, case: CaseResult) -> str | None:
        if case.error is not None and case.error.failure_class is FailureClass.BUDGET:
            return "budget"
        return "fail_fast" if self._fail_fast and case.status != "passed" else None

    def _take_note(self, case: CaseResult, done: int, result: RunResult) -> None:
        result.stopped = result.stopped or self._reason_to_stop(case)
        self._told(case, done)

    def _give_up(self, jobs: Sequence[Job], workers: list[threading.Thread]) -> None:
        """End the calls under way, and wait a moment for what they still have to say."""
        self._no_more.set()
        self._given_up.set()
        for client in {id(job.runner): job.runner.client for job in jobs if job.runner}.values():
            client.abort()
        deadline = time.monotonic() + _WIND_UP_S
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
