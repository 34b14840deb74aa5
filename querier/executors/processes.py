"""Where do the leaf tasks of heavy queries run? In processes of their own, if they read blocks.

Kernels and Arrow release the interpreter, and what is between them does not: 24 heavy queries in
the threads of a server made another tenant's small query eleven times as slow. So a query begins on
threads, and once it has proven heavy its tasks over blocks go to scan processes; heads are in this
process's memory and stay. What is small never pays for the way there.
A task whose process ends is done again; one that ends two of them is refused.
"""

import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from querier.executors.costs import Costs
from querier.executors.leaf import Compute, LeafContext, run_leaf
from querier.executors.local import EXPRESS_S, LocalExecutor, Query, in_order
from querier.executors.metrics import PROCESS_TASKS
from querier.executors.scan_pool import ProcessGoneError, ScanPool, Wanted
from querier.plan.spec import LeafSpec
from querier.reading.tenants import TenantSource
from storage.block.reader import BlockSource
from storage.catalog.base import BlockRow
from storage.scan import LogSource

R = TypeVar("R")

HEAVY_S = 0.2
"""Of a thread, that the leaf tasks of a query are expected to take: it is heavy from its begin."""
MOST_LOST = 2
"""Processes that a task may end before it is refused."""


class ScanProcessesLostError(AppError):
    """A task ended every process that it was given to."""

    kind = ErrorKind.INTERNAL


class ProcessExecutor:
    """Runs leaf tasks on the threads of `local`, those of heavy queries in processes; thread-safe.

    `heavy_s`: what a query spends in leaf tasks before it is heavy, unless it was heavy before.
    """

    def __init__(
        self,
        local: LocalExecutor,
        pool: ScanPool,
        heavy_s: float = EXPRESS_S,
        seam: Threads = SYSTEM_THREADS,
    ) -> None:
        self._local, self.pool, self._heavy_s = local, pool, heavy_s
        # a thread for each process gives it tasks, of all queries in turn
        self._leading = LocalExecutor(pool.count, seam, name="scan", express=False)
        self._numbers = itertools.count()
        self._costs = Costs()

    def leaves(self, specs: Iterable[LeafSpec[Compute[R]]], context: LeafContext) -> Iterator[R]:
        """As `Executor.leaves`; a leaf charges the budget of the context."""
        here, there, number, specs = Query(), Query(), next(self._numbers), list(specs)
        known_heavy = self._costs.expected_s(specs) >= HEAVY_S

        def submitted(spec: LeafSpec[Compute[R]]) -> "Future[R]":
            heavy = known_heavy or here.spent_s >= self._heavy_s
            block = self._block_of(spec, context) if heavy else None
            if block is None or not self.pool.is_ready():
                return self._local.submit(here, partial(run_leaf, spec, context))
            wanted = Wanted(
                query=number,
                spec=spec,
                block=block,
                budget=context.budget,
                is_abandoned=lambda: there.abandoned,
            )
            return self._leading.submit(there, partial(self._led, wanted, context))

        def abandon() -> None:
            self._local.abandon(here)
            self._leading.abandon(there)

        window = max(self._local.window, self._leading.window)
        began_s, done = time.monotonic(), 0
        try:
            for found in in_order(map(submitted, specs), window, context.budget, abandon):
                done += 1
                yield found
        finally:
            if done:
                self._costs.learn(specs[:done], here.spent_s + there.spent_s)
            elif specs:  # it did not end a single one
                self._costs.learn(specs[:1], time.monotonic() - began_s)

    def _block_of(self, spec: LeafSpec[Any], context: LeafContext) -> BlockRow | None:
        """The block that a task reads; None where it reads a head."""
        return block_of(context.open_source(spec).view.source)

    def _led(self, wanted: Wanted, context: LeafContext) -> Any:
        """The task, done in a process; or here, where there is none."""
        for _ in range(MOST_LOST):
            try:
                with self.pool.one() as worker:
                    if worker is None:
                        return run_leaf(wanted.spec, context)
                    found = worker.run(wanted)
                    PROCESS_TASKS.inc()
                    return found
            except ProcessGoneError:
                continue
        raise ScanProcessesLostError(
            f"a part of the query ended {MOST_LOST} scan processes: the system may have no memory "
            "left for them; lower querier.scan_processes or querier.max_memory, or ask for less"
        )

    def end_idle(self, idle_s: float) -> int:
        """End the processes when none had a task for so long; how many."""
        return self.pool.end_idle(idle_s)

    def close(self) -> None:
        """Wait for running tasks, then stop threads and processes."""
        self._local.close()
        self._leading.close()
        self.pool.close()


def block_of(source: LogSource) -> BlockRow | None:
    """The block behind a source; None for a head."""
    if isinstance(source, TenantSource):
        source = source.stored
    return source.row if isinstance(source, BlockSource) else None
