"""Where do leaf tasks run? On threads of this process, which serve the running queries in turn.

Kernels and Arrow release the GIL. A query has a few tasks waiting at most, and each thread takes a
task of the query whose turn it is, so a query of many tasks does not hold up others. One more
thread is for queries that have just begun: a small one does not wait for a task of a large one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from time import perf_counter
from typing import Any, TypeVar

from narfi.core.niceness import let_others_go_first
from narfi.core.threads import SYSTEM_THREADS, Threads
from narfi.core.tracebacks import forget_values
from querier.budget import Budget
from querier.executors.leaf import Compute, LeafContext, run_leaf
from querier.plan.spec import LeafSpec

T = TypeVar("T")
R = TypeVar("R")

EXPRESS_S = 0.05
"""Spent in leaf tasks so far, up to which a query has just begun."""

NICENESS = 6
"""Of the threads that serve every query: requests, pushes and small queries go first. Beside 24
heavy queries another tenant's small one took 20 ms then, and 34 to 41 without (p99 68; 132 to 232).
"""

HERE_BYTES, HERE_TASKS = 8 << 20, 8
"""Of lines, in at most so many tasks: whoever asks does them itself, in some milliseconds. To hand
them to another thread and to be woken by it takes as long, and far longer while others run."""
SHARED_BYTES, SHARED_TASKS = 1 << 20, 2
"""The same while several tenants ask: threads of requests go before those of heavy queries, and so
would a heavy one's many small tasks. Beside 24 heavy queries, a small one of another tenant took at
its 99th percentile 2.3 times as long as alone, and 3.2 with the bounds above (three turns each).
"""

LOOK_S = 0.1
"""While a result is waited for, between two looks whether the query is still wanted."""

_Job = tuple[Callable[[], Any], "Future[Any]"]


@dataclass(slots=True, eq=False, kw_only=True)
class Query:
    """The tasks of one query that wait for the threads of one executor."""

    waiting: deque[_Job] = field(default_factory=deque)
    running: int = 0
    spent_s: float = 0.0  # by its tasks that have ended
    abandoned: bool = False  # nobody waits for what still runs

    def is_new(self) -> bool:
        """Whether nothing of it runs, and little did."""
        return self.running == 0 and self.spent_s < EXPRESS_S


class LocalExecutor:
    """Runs leaf tasks on `threads` threads and, with `express`, one more; thread-safe."""

    def __init__(
        self,
        threads: int,
        seam: Threads = SYSTEM_THREADS,
        *,
        name: str = "leaf",
        express: bool = True,
    ) -> None:
        self.window = threads + 1
        """How many tasks of a query are under way at most."""
        self._queries: deque[Query] = deque()  # those with waiting tasks, the next one first
        self._idle = threads  # of those that serve every query
        self._closed = False
        self._lock = seam.lock()
        self._woken: SimpleQueue[None] = SimpleQueue()  # wakes one idle thread, without the lock
        self._express: SimpleQueue[None] = SimpleQueue()
        self._threads = [
            seam.start(f"{name}-{n}", partial(self._work, express=n == threads))
            for n in range(threads + express)
        ]

    def leaves(self, specs: Iterable[LeafSpec[Compute[R]]], context: LeafContext) -> Iterator[R]:
        """As `Executor.leaves`; a leaf charges the budget of the context."""
        specs, run = list(specs), partial(run_leaf, context=context)
        how = on_the_spot if is_small(specs) else self.map
        return how(run, specs, context.budget)

    def apply(self, function: Callable[[T], R], arguments: Iterable[T]) -> Iterator[R]:
        """As `ProcessExecutor.apply`: here, by whoever asks."""
        return map(function, arguments)

    def map(self, task: Callable[[T], R], specs: Iterable[T], budget: Budget) -> Iterator[R]:
        """Results in the order of the tasks; raises what a task raises, or `budget.check`.

        At most `threads + 1` tasks are under way, so that a caller who stops iterating stops the
        work (early stop for `limit`); tasks that run then end by themselves.
        """
        query = Query()
        submitted = (self.submit(query, partial(task, spec)) for spec in specs)
        return in_order(submitted, self.window, budget, partial(self.abandon, query))

    def close(self) -> None:
        """Wait for running tasks and stop the threads."""
        with self._lock:
            self._closed = True
        for _ in self._threads:
            self._woken.put(None)
        self._express.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, query: Query, work: Callable[[], R]) -> "Future[R]":
        """Run it when it is the query's turn."""
        future: Future[R] = Future()
        with self._lock:
            if not query.waiting:
                self._queries.append(query)
            query.waiting.append((work, future))
            new = query.is_new() and not self._idle
        self._woken.put(None)
        if new:
            self._express.put(None)
        return future

    def abandon(self, query: Query) -> None:
        """Nobody waits for the query's tasks any more: those that have not begun never will."""
        with self._lock:
            query.abandoned = True
            waiting = list(query.waiting)
            if waiting:
                query.waiting.clear()
                self._queries.remove(query)
        for _, future in waiting:
            future.cancel()

    def _work(self, *, express: bool) -> None:
        if not express:
            let_others_go_first(NICENESS)
        while True:
            found = self._next(express=express)
            if found is None:
                return
            query, (work, future) = found
            began = perf_counter()
            if future.set_running_or_notify_cancel():
                _run(work, future)
            with self._lock:
                query.running -= 1
                self._idle += not express
                query.spent_s += perf_counter() - began
                new = bool(query.waiting) and query.is_new() and not self._idle
            del found, query, work, future  # what was found is not held while the thread waits
            if new:
                self._express.put(None)

    def _next(self, *, express: bool) -> tuple[Query, _Job] | None:
        woken = self._express if express else self._woken
        while True:
            with self._lock:
                query = self._choose(express=express)
                if query is not None:
                    job = query.waiting.popleft()
                    query.running += 1
                    self._idle -= not express
                    self._queries.remove(query)
                    if query.waiting:
                        self._queries.append(query)
                    return query, job
                if self._closed:
                    return None
            woken.get()

    def _choose(self, *, express: bool) -> Query | None:
        if express:
            if self._idle:
                return None  # one of those takes it, and more threads would only get in the way
            return next((query for query in self._queries if query.is_new()), None)
        return self._queries[0] if self._queries else None


def is_small(specs: Sequence[LeafSpec[Any]], *, shared: bool = False) -> bool:
    """Whether tasks are not worth another thread; how long those take that read no lines, their
    sizes do not tell. `shared`: several tenants ask."""
    tasks, size = (SHARED_TASKS, SHARED_BYTES) if shared else (HERE_TASKS, HERE_BYTES)
    small = len(specs) <= tasks and all(spec.line_bytes for spec in specs)
    return small and sum(spec.line_bytes for spec in specs) <= size


def on_the_spot(run: Callable[[T], R], specs: Iterable[T], budget: Budget) -> Iterator[R]:
    """Each result when it is asked for, made by who asks; raises what a task raises."""
    for spec in specs:
        budget.check()
        yield run(spec)


def in_order(
    futures: "Iterable[Future[R]]", window: int, budget: Budget, abandon: Callable[[], None]
) -> Iterator[R]:
    """Results in the order of the futures; raises what a task raises, or `budget.check`.

    At most `window` futures are asked for ahead. `abandon` is called when some are left.
    """
    under_way: deque[Future[R]] = deque()
    try:
        for future in futures:
            under_way.append(future)
            if len(under_way) >= window:
                yield _result(under_way[0], budget)
                under_way.popleft()
        while under_way:
            yield _result(under_way[0], budget)
            under_way.popleft()
    finally:
        if under_way:
            abandon()


def _result(future: "Future[R]", budget: Budget) -> R:
    while True:
        budget.check()
        try:
            return future.result(timeout=LOOK_S)
        except TimeoutError:
            if future.done():  # just now, or the task itself raised it
                return future.result()


def _run(work: Callable[[], R], future: "Future[R]") -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - the caller of `map` raises it
        forget_values(error)
        future.set_exception(error)
    else:
        future.set_result(result)
