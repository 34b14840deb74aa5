"""Which request runs next? A queue for each tenant, asked in turn, and a share of the threads.

No tenant has more than three quarters of the threads, however many requests it sends, so that one
is free soon for another tenant. A queue is bounded. Nothing starts while running requests hold most
of the memory for queries; one alone always starts. A request that met others which held what it
needed gives everything back and is done again when there is room for all that it may take; one that
waits until little of its time is left is refused, since it would only keep others waiting.
Invariant: requests of one tenant start in the order in which they came, but for those that are done
again, which are the next.
"""

import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import structlog

from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from narfi.core.tracebacks import forget_values
from querier.budget import KEPT, Budget, MemoryBusyError, QueryCancelledError, Total
from querier.executors.asked_lately import AskedLately

T = TypeVar("T")

log = structlog.get_logger(__name__)

MEMORY_POLL_S = 0.05
"""Between two looks whether memory is free: an answer that is being sent gives it back late."""

MAX_TRIES = 5
"""How often a request is begun that others leave no memory."""

WAITED_SHARE = 0.75
"""Of the time of a request: if it still waits then, it has too little left to be worth a start."""

LATE_S = 1.0
"""After its time a request may keep its thread; work looks at its time each 100 ms of CPU."""

STOP_S = 2.0
"""A query that does not end by then, because a disk hangs, does not keep the process."""


class TooManyOutstandingError(AppError):
    """The queue of the tenant is full, or too long for the time of the request."""

    kind = ErrorKind.RATE_LIMITED
    retry_after_s = 5


@dataclass(slots=True, eq=False, kw_only=True)
class _Job:
    work: Callable[[], Any]
    future: "Future[Any]"
    budget: Budget
    tries: int = 0  # that others left no memory
    lacked_room: bool = False  # rather than a thread, when it was looked at last

    @property
    def needs(self) -> int:
        """Bytes that have to be free before it starts."""
        return self.budget.most_memory if self.tries else 0


class FairPool:
    """Threads for requests; thread-safe."""

    def __init__(
        self,
        threads: int,
        max_waiting: int,
        total: Total | None = None,
        seam: Threads = SYSTEM_THREADS,
        *,
        lately: AskedLately | None = None,
    ) -> None:
        """`lately` is told who asks."""
        self._share = max(1, threads - max(1, threads // 4))
        self._max_waiting, self._total = max_waiting, total or Total()
        self._lately = lately or AskedLately()
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
        job = _Job(work=work, future=Future(), budget=budget)
        self._lately.note(tenant)
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

    def waited_too_long(self, tenant: str, budget: Budget) -> TooManyOutstandingError:
        """What the client of a request of the tenant is told that was cancelled while it waited."""
        with self._lock:
            queue = self._waiting.get(tenant)
            # those behind the first one wait for what it waits for
            lacked_room = bool(queue) and any(job.lacked_room for job in queue or ())
        return too_late(budget, lacked_room=lacked_room)

    def counts(self) -> tuple[int, int]:
        """Requests that are worked on, and that wait."""
        with self._lock:
            running = sum(len(jobs) for jobs in self._running.values())
            return running, sum(len(queue) for queue in self._waiting.values())

    def waiting(self, tenant: str) -> int:
        """Requests of a tenant that wait."""
        with self._lock:
            return sum(not job.future.cancelled() for job in self._waiting.get(tenant, ()))

    def close(self) -> None:
        """Cancel what waits and what runs, and wait a little for the threads."""
        with self._lock:
            self._closed = True
            for queue in self._waiting.values():
                for job in queue:
                    _give_up(job)
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
            ended = _run(job)
            if (late_s := job.budget.late_s()) > LATE_S:
                log.warning("a request kept its thread after its time", late_s=round(late_s, 1))
            with self._lock:
                mine = self._running[tenant]
                mine.remove(job)
                if not mine:
                    del self._running[tenant]
                if not ended and self._closed:
                    _give_up(job)
                elif not ended:
                    self._waiting.setdefault(tenant, deque()).appendleft(job)
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
                found = self._take()
                if found is not None:
                    self._running.setdefault(found[0], []).append(found[1])
                    return found
                waits = any(self._lacks_room(*item) for item in self._waiting.items())
            with contextlib.suppress(Empty):
                self._woken.get(timeout=MEMORY_POLL_S if waits else None)

    def _lacks_room(self, tenant: str, queue: deque[_Job]) -> bool:
        """Whether running requests leave the next one hardly any memory, or less than it needs.

        A tenant of which nothing runs may have what is kept for small requests, and waits for
        none that is done again.
        """
        most = self._total.most
        if not (queue and most):
            return False
        job = queue[0]
        if job.budget.is_over() if job.tries else not self._running:
            return False  # it is told so; or it is alone
        if tenant in self._running:
            return self._held() > most - max(most // 4, min(job.needs, most))
        return self._total.used > most - max(most // KEPT, min(job.needs, most))

    def _held(self) -> int:
        """By requests; by those that are done again all that they may take."""
        jobs = [job for running in self._running.values() for job in running]
        return self._total.used + sum(max(0, job.needs - job.budget.used) for job in jobs)

    def _take(self) -> tuple[str, _Job] | None:
        """The first job of the next tenant that has not its share yet."""
        for tenant, queue in list(self._waiting.items()):
            if len(self._running.get(tenant, ())) >= self._share:
                queue[0].lacked_room = False
                continue
            while queue:
                if self._lacks_room(tenant, queue):
                    queue[0].lacked_room = True
                    break
                job = queue.popleft()
                if job.tries or job.future.set_running_or_notify_cancel():
                    self._waiting.move_to_end(tenant)
                    if not queue:
                        del self._waiting[tenant]
                    return tenant, job
            if not queue:
                del self._waiting[tenant]
        return None


def _run(job: _Job) -> bool:
    """Whether it has ended; else it is to be done again."""
    try:
        job.budget.check()
        if not job.tries and waits_in_vain(job.budget):
            raise too_late(job.budget, lacked_room=job.lacked_room)
        result = job.work()
    except MemoryBusyError as error:
        forget_values(error)
        job.tries += 1
        if job.tries < MAX_TRIES:
            return False
        job.future.set_exception(error)
    except BaseException as error:  # noqa: BLE001 - the future's owner raises it
        forget_values(error)
        job.future.set_exception(error)
    else:
        job.future.set_result(result)
    return True


def waits_in_vain(budget: Budget) -> bool:
    """Whether a request that has not begun has too little time left."""
    return budget.spent_share() > WAITED_SHARE


def too_late(budget: Budget, *, lacked_room: bool) -> TooManyOutstandingError:
    """What the client is told of a request that waited too long, for memory or for a thread."""
    why = "the request got no thread (querier.query_threads, of which a tenant has three quarters)"
    if lacked_room:
        why = (
            "the request could not begin, since running requests and answers that are being sent "
            "hold most of querier.max_memory"
        )
    return TooManyOutstandingError(
        f"too many outstanding requests: in {WAITED_SHARE:.0%} of its query_timeout "
        f"({budget.timeout_s:g}s) {why}; try again later"
    )


def _give_up(job: _Job) -> None:
    """The pool is closed; one that was begun before cannot be cancelled."""
    if not job.future.cancel():
        job.future.set_exception(QueryCancelledError("the server is stopping"))
