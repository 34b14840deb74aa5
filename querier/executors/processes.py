"""Where do the leaf tasks of heavy queries run? In processes of their own, if they read blocks.

Kernels and Arrow release the interpreter, and what is between them does not: 24 heavy queries in
the threads of a server made another tenant's small query eleven times as slow. So a query begins on
threads, and once it has proven heavy its tasks over blocks go to scan processes; heads are in this
process's memory and stay. What is small never pays for the way there.
A task whose process ends is done again; one that ends two of them is refused.
"""

import contextlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from prometheus_client import Counter

from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from querier.budget import Budget
from querier.executors.costs import Costs
from querier.executors.leaf import Compute, LeafContext, run_leaf
from querier.executors.local import LocalExecutor, Query, in_order, is_small, on_the_spot
from querier.executors.messages import Call, LostTaskError
from querier.executors.metrics import PROCESS_TASKS
from querier.executors.scan_pool import ScanPool
from querier.executors.scan_worker import ProcessGoneError, Wanted, task_of
from querier.plan.spec import LeafSpec
from querier.reading.tenants import TenantSource
from storage.block.reader import BlockSource
from storage.catalog.base import BlockRow
from storage.scan import LogSource

A = TypeVar("A")
R = TypeVar("R")

BEGUN_S = 0.1
"""Of the processor, in leaf tasks, after which a query is heavy."""
HEAVY_S = 0.15
"""Of the processor, that leaf tasks of a query are expected to take: it is heavy from its begin."""
DEARER = 2
"""So much more a task takes there, where less is remembered: else a query that was heavy once, when
nothing was remembered, would be for ever."""
MOST_LOST = 2
"""Processes that a task may end before it is refused."""


class ScanProcessesLostError(AppError):
    """A task ended every process that it was given to."""

    kind = ErrorKind.INTERNAL


def lost_processes() -> ScanProcessesLostError:
    """For a task of scan processes."""
    return ScanProcessesLostError(
        f"a part of the query ended {MOST_LOST} scan processes: the system may have no memory "
        "left for them; lower querier.scan_processes or querier.max_memory, or ask for less"
    )


class _Weight:
    """What leaf tasks of a query took so far, all of its selectors together; thread-safe."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.here_s = self.there_s = 0.0
        self._lock = threading.Lock()

    def add_here(self, seconds: float) -> None:
        """A task on a thread of this process took so long of the processor."""
        with self._lock:
            self.here_s += seconds

    def add_there(self, seconds: float) -> None:
        """A task in a scan process did."""
        with self._lock:
            self.there_s += seconds

    def cpu_s(self) -> float:
        """Of all tasks that have ended, if they had been here."""
        return self.here_s + self.there_s / DEARER


@dataclass(slots=True, kw_only=True)
class _Split:
    """Some tasks of one query: those on threads, and those in processes."""

    weight: _Weight
    known_heavy: bool
    here: Query = field(default_factory=Query)
    there: Query = field(default_factory=Query)


class ProcessExecutor:
    """Runs leaf tasks on the threads of `local`, those of heavy queries in processes; thread-safe.

    `heavy_s`: of the processor, what leaf tasks of a query take before it is heavy, unless the same
    question was heavy before. `are_wanted` is asked for each task: while it says no, everything is
    done on threads, and no process is started.
    """

    def __init__(
        self,
        local: LocalExecutor,
        pool: ScanPool,
        heavy_s: float = BEGUN_S,
        *,
        are_wanted: Callable[[], bool] = lambda: True,
        seam: Threads = SYSTEM_THREADS,
        done: Counter = PROCESS_TASKS,
        lost: Callable[[], ScanProcessesLostError] = lost_processes,
        blamed: type[Exception] = ProcessGoneError,
        ahead: int = 0,
    ) -> None:
        """`done` counts tasks that processes did.

        `ahead`: so many tasks wait for a process that has their block, while others are done.
        `blamed` is raised for a task that may be what ended its process, `lost` makes the error of
        one that ended too many.
        """
        self._local, self.pool, self._heavy_s = local, pool, heavy_s
        self._done, self._lost, self._blamed = done, lost, blamed
        self._are_wanted = are_wanted
        # threads give processes their tasks, of all queries in turn
        self._leading = LocalExecutor(pool.count + ahead, seam, name="scan", express=False)
        self._numbers = itertools.count()
        self._costs = Costs()
        self._weights: WeakKeyDictionary[Budget, _Weight] = WeakKeyDictionary()
        self._lock = threading.Lock()  # guards them

    def leaves(self, specs: Iterable[LeafSpec[Compute[R]]], context: LeafContext) -> Iterator[R]:
        """As `Executor.leaves`; a leaf charges the budget of the context."""
        specs, weight = list(specs), self._weight_of(context.budget)
        before_s, expected_s = weight.cpu_s(), self._costs.expected_s(specs)
        query = _Split(weight=weight, known_heavy=before_s + expected_s >= HEAVY_S)
        if not self._is_heavy(query) and is_small(specs, shared=self._are_wanted()):
            run = partial(_timed, context=context, add_cpu_s=weight.add_here)
            return on_the_spot(run, specs, context.budget)
        return self._handed_over(specs, query, context)

    def _weight_of(self, budget: Budget) -> _Weight:
        with self._lock:
            found = self._weights.get(budget)
            if found is None:
                found = self._weights[budget] = _Weight(next(self._numbers))
            return found

    def _handed_over(
        self, specs: Sequence[LeafSpec[Compute[R]]], query: _Split, context: LeafContext
    ) -> Iterator[R]:
        done, began_s, before_s = 0, time.monotonic(), query.weight.cpu_s()

        def abandon() -> None:
            self._local.abandon(query.here)
            self._leading.abandon(query.there)

        window = max(self._local.window, self._leading.window)
        submitted = (self._submit(spec, query, context) for spec in specs)
        try:
            for found in in_order(submitted, window, context.budget, abandon):
                done += 1
                yield found
        finally:
            if done:
                self._costs.learn(specs[:done], query.weight.cpu_s() - before_s)
            elif specs:  # it did not get through a single one
                self._costs.learn(specs[:1], time.monotonic() - began_s)

    def _is_heavy(self, query: _Split) -> bool:
        return query.known_heavy or query.weight.cpu_s() >= self._heavy_s

    def _submit(
        self, spec: LeafSpec[Compute[R]], query: _Split, context: LeafContext
    ) -> "Future[R]":
        leaves = self._is_heavy(query) and self._are_wanted()
        block = self._block_of(spec, context) if leaves else None
        weight = query.weight
        if block is None or not self.pool.is_ready():
            return self._local.submit(query.here, partial(_timed, spec, context, weight.add_here))
        wanted = Wanted(
            message=task_of(weight.number, spec, block),
            budget=context.budget,
            is_abandoned=lambda: query.there.abandoned,
            add_cpu_s=weight.add_there,
            block_id=block.block_id,
        )
        here = partial(_timed, spec, context, weight.add_here)
        return self._leading.submit(query.there, partial(self._led, wanted, here))

    def apply(self, function: Callable[[A], R], arguments: Iterable[A]) -> Iterator[R]:
        """As `map`: pure functions of plain data, in processes where there are any.

        A few are under way ahead of what was asked for. Functions are those of modules.
        """
        if not self._are_wanted():
            yield from map(function, arguments)
            return
        query, under_way = Query(), deque["Future[R]"]()
        try:
            for argument in arguments:
                work = partial(self._called, query, function, argument)
                under_way.append(self._leading.submit(query, work))
                if len(under_way) >= self._leading.window:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            self._leading.abandon(query)

    def _called(self, query: Query, function: Callable[[A], R], argument: A) -> R:
        wanted = Wanted(
            message=lambda _: Call(function, argument),
            budget=Budget(),  # what comes back is as small as what is sent
            is_abandoned=lambda: query.abandoned,
            add_cpu_s=lambda _: None,
        )
        with contextlib.suppress(ProcessGoneError), self.pool.one(wanted) as worker:
            if worker is not None:
                found: R = worker.run(wanted)
                return found
        return function(argument)

    def _block_of(self, spec: LeafSpec[Any], context: LeafContext) -> BlockRow | None:
        """The block that a task reads; None where it reads a head."""
        return block_of(context.open_source(spec).view.source)

    def _led(self, wanted: Wanted, here: Callable[[], R]) -> R:
        """The task, done in a process; or here, where there is none."""
        lost = 0
        while lost < MOST_LOST:
            try:
                with self.pool.one(wanted) as worker:
                    if worker is None:
                        return here()
                    found: R = worker.run(wanted)
                    self._done.inc()
                    return found
            except (ProcessGoneError, LostTaskError) as error:
                lost += isinstance(error, self._blamed)
        raise self._lost()

    def end_idle(self, idle_s: float) -> int:
        """End the processes when none had a task for so long; how many."""
        return self.pool.end_idle(idle_s)

    def close(self) -> None:
        """Wait for running tasks, then stop threads and processes."""
        self._local.close()
        self.close_pool()

    def close_pool(self) -> None:
        """As `close`, for one who shares the threads of this process with others."""
        self._leading.close()
        self.pool.close()


def _timed(
    spec: LeafSpec[Compute[R]], context: LeafContext, add_cpu_s: Callable[[float], None]
) -> R:
    """As `run_leaf`; what it took is told before anybody has the result."""
    began_s = time.thread_time()
    try:
        return run_leaf(spec, context)
    finally:
        add_cpu_s(time.thread_time() - began_s)


def block_of(source: LogSource) -> BlockRow | None:
    """The block behind a source; None for a head."""
    if isinstance(source, TenantSource):
        source = source.stored
    return source.row if isinstance(source, BlockSource) else None
