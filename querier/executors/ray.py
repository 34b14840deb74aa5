"""Where do the leaf tasks of large queries run? On a Ray cluster, if they read blocks.

What is small never pays for the way there: a query goes there that plans to read many bytes, and
only when the cluster is attached. Nothing waits for that: a process of its own (querier/
ray_bridge.py) attaches in the background, dies when the cluster is gone, and is started again.
Its tasks are then done here, as all are without Ray. This process never imports Ray.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from narfi.core.errors import ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from querier.executors.leaf import Compute, LeafContext
from querier.executors.local import LocalExecutor
from querier.executors.messages import LostTaskError, Setup
from querier.executors.metrics import RAY_TASKS
from querier.executors.processes import MOST_LOST, ProcessExecutor, ScanProcessesLostError, block_of
from querier.executors.scan_pool import ScanPool
from querier.executors.scan_worker import start_workers
from querier.plan.spec import LeafSpec

A = TypeVar("A")
R = TypeVar("R")

TASKS_AT_ONCE = 2
"""For each actor: while one runs, the next one is on its way."""
ENTRY = "querier.ray_bridge"
ADDRESS = "NARFI_RAY_ADDRESS"
"""The variable that tells the bridge where the cluster is."""
CALLS_ONLY = "NARFI_RAY_CALLS_ONLY"
"""The variable that tells it, when set, that no leaf tasks will come: it makes no actors."""


def ray_pool(address: str, actors: int, setup: Setup) -> ScanPool:
    """What gives tasks to so many actors of a cluster, each of which remembers blocks."""
    start = partial(start_workers, entry=ENTRY, variables={ADDRESS: address})
    return ScanPool(actors * TASKS_AT_ONCE, setup, start=start, at_once=TASKS_AT_ONCE)


def call_pool(address: str, setup: Setup) -> ScanPool:
    """What has functions of plain data called in the cluster, one at a time."""
    variables = {ADDRESS: address, CALLS_ONLY: "1"}
    return ScanPool(1, setup, start=partial(start_workers, entry=ENTRY, variables=variables))


def lost_actors() -> ScanProcessesLostError:
    """For a task that ended actors: mostly its machine had no memory left for it."""
    message = (
        f"a part of the query ended {MOST_LOST} workers of the Ray cluster: they may not have the "
        "memory that max_query_memory allows; ask for less, or for a shorter time"
    )
    return ScanProcessesLostError(message, ErrorKind.INVALID)


class RayExecutor:
    """Runs leaf tasks of large queries over `pool`, all others by `near`; thread-safe."""

    def __init__(
        self,
        near: LocalExecutor | ProcessExecutor,
        local: LocalExecutor,
        pool: ScanPool,
        min_bytes: int,
        *,
        seam: Threads = SYSTEM_THREADS,
    ) -> None:
        """`local`: the threads of this process, which `near` may be or have."""
        self.near, self.pool, self._min_bytes = near, pool, min_bytes
        # whatever reads a block is heavy for it; heads are read here
        self._far = ProcessExecutor(
            local,
            pool,
            heavy_s=0.0,
            seam=seam,
            done=RAY_TASKS,
            lost=lost_actors,
            blamed=LostTaskError,  # a bridge ends with its cluster, whatever it does
            ahead=pool.count,  # caches of actors are worth it; not those of processes beside us
        )

    def leaves(self, specs: Iterable[LeafSpec[Compute[R]]], context: LeafContext) -> Iterator[R]:
        """As `Executor.leaves`."""
        specs = list(specs)
        is_large = self._planned(specs, context) >= self._min_bytes
        there = is_large and self.pool.is_ready()
        return (self._far if there else self.near).leaves(specs, context)

    def apply(self, function: Callable[[A], R], arguments: Iterable[A]) -> Iterator[R]:
        """As `ProcessExecutor.apply`: never on the cluster, since it is soon done."""
        return self.near.apply(function, arguments)

    def _planned(self, specs: Sequence[LeafSpec[Any]], context: LeafContext) -> int:
        """Line bytes of tasks over blocks; those of heads are asked for only if it matters."""
        if sum(spec.line_bytes for spec in specs) < self._min_bytes:
            return 0
        return sum(
            spec.line_bytes
            for spec in specs
            if block_of(context.open_source(spec).view.source) is not None
        )

    def end_idle(self, idle_s: float) -> int:
        """End scan processes, and let the cluster go, when they had no task for so long."""
        ended = self.pool.end_idle(idle_s)
        if isinstance(self.near, ProcessExecutor):
            ended += self.near.end_idle(idle_s)
        return ended

    def close(self) -> None:
        """Wait for running tasks, then stop threads and processes."""
        self.near.close()
        self._far.close_pool()
