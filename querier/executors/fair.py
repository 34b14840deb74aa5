"""Which request runs next? A queue for each tenant, asked in turn, and a share of the threads.

No tenant has more than three quarters of the threads, however many requests it sends, so that one
is free soon for another tenant. A queue is bounded. Nothing starts while running requests hold most
of the memory for queries; one alone always starts.
Invariant: requests of one tenant start in the order in which they came.
"""

import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from querier.budget import Budget, Total

T = TypeVar("T")

MEMORY_POLL_S = 0.05
"""Between two looks whether memory is free: an answer that is being sent gives it back late."""

STOP_S = 2.0
"""A query that does not end by then, because a disk hangs, does not keep the process."""


class TooManyOutstandingError(AppError):
    """The queue of the tenant is full."""

    kind = ErrorKind.RATE_LIMITED


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    future: "Future[Any]"
    budget: Budget


class FairPool:
    """Threads for requests; thread-safe."""

    def __init__(
        self,
        threads: int,
        max_waiting: int,
        total: Total | None = None,
        seam: Threads = SYSTEM_THREADS,
    ) -> None:
        self._share = max(1, threads - max(1, threads // 4))
        self._max_waiting, self._total = max_waiting, total or Total()
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()  # next tenant first
        self._running: dict[str, list[_Job]] = {}
        self._closed = False
        self._lock = seam.lock()
        self._woken: SimpleQueue[None] = SimpleQueue()  # wakes one idle thread, without the lock
        self._threads = [seam.start(f"query-{n}", self._work) for n in range(threads)]

    def submit(self, tenant: str, budget: Budget, work: Callable[[], T]) -> "Future[T]":
        """Run the work when it is the tenant's turn; raises `TooManyOutstandingError`.

        The future can be cancelled while it waits.
        """
        job = _Job(work, Future(), budget)
        with self._lock:
            if self._closed:
                raise TooManyOutstandingError("the server is stopping")
            queue = self._waiting.setdefault(tenant, deque())
            if len(queue) >= self._max_waiting:
                queue = deque(other for other in queue if not other.future.cancelled())
                self._waiting[tenant] = queue
            if len(queue) >= self._max_waiting:
                message = (
                    f"too many outstanding requests (querier.max_waiting is {self._max_waiting} "
                    "for each tenant); try again later"
                )
                raise TooManyOutstandingError(message)
            queue.append(job)
        self._woken.put(None)
        return job.future

    def close(self) -> None:
        """Cancel what waits and what runs, and wait a little for the threads."""
        with self._lock:
            self._closed = True
            for queue in self._waiting.values():
                for job in queue:
                    job.future.cancel()
            self._waiting.clear()
            for jobs in self._running.values():
                for job in jobs:
                    job.budget.cancel()
        for _ in self._threads:
            self._woken.put(None)
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while True:
            found = self._next()
            if found is None:
                return
            tenant, job = found
            _run(job)
            with self._lock:
                mine = self._running[tenant]
                mine.remove(job)
                if not mine:
                    del self._running[tenant]
            del found, job, mine  # an answer is not held until the thread has another one

    def _next(self) -> tuple[str, _Job] | None:
        """Wait for a job whose turn it is; None when the pool is closed.

        A thread that has ended a job looks for itself, so a job that waits for its tenant's share
        needs no other to wake it.
        """
        while True:
            with self._lock:
                if self._closed:
                    return None
                crowded = self._is_crowded()
                found = None if crowded else self._take()
                if found is not None:
                    self._running.setdefault(found[0], []).append(found[1])
                    return found
            with contextlib.suppress(Empty):
                self._woken.get(timeout=MEMORY_POLL_S if crowded else None)

    def _is_crowded(self) -> bool:
        """Whether running requests hold so much that another one would hardly get any."""
        most = self._total.most
        return bool(self._waiting and self._running and most) and (
            self._total.used > most - most // 4
        )

    def _take(self) -> tuple[str, _Job] | None:
        """The first job of the next tenant that has not its share yet."""
        for tenant, queue in list(self._waiting.items()):
            if len(self._running.get(tenant, ())) >= self._share:
                continue
            while queue:
                job = queue.popleft()
                if job.future.set_running_or_notify_cancel():
                    self._waiting.move_to_end(tenant)
                    if not queue:
                        del self._waiting[tenant]
                    return tenant, job
            del self._waiting[tenant]
        return None


def _run(job: _Job) -> None:
    try:
        job.budget.check()
        result = job.work()
    except BaseException as error:  # noqa: BLE001 - the future's owner raises it
        job.future.set_exception(error)
    else:
        job.future.set_result(result)
