"""Who else may merge blocks? Tasks of a Ray cluster, told of blocks by a process in between.

The compactor keeps what decides: the claim of the job, the intent of the new block, the commit of
the swap. A task reads objects and puts objects, so whatever becomes of it costs only that: the
merge is done here then, under another id, and for a while none is sent there.
"""

import time
from collections.abc import Callable

import structlog

from querier.budget import Budget
from querier.executors.messages import Call, LostTaskError
from querier.executors.scan_pool import ScanPool
from querier.executors.scan_worker import ProcessGoneError, Wanted
from storage.block.rewriting import LostMergeError, MergeSpec, merge_at
from storage.catalog.base import BlockRow
from upkeep.metrics import FAR_MERGES

log = structlog.get_logger(__name__)

LONGEST_S = 900.0
"""A merge that takes longer is given up there."""
PAUSE_S = 300.0
"""After one that failed."""


class FarMerges:
    """Merges on a cluster, for one thread."""

    def __init__(
        self, pool: ScanPool, objects: str, min_bytes: int, stopping: Callable[[], bool]
    ) -> None:
        """`objects`: where the blocks are, as a URL that is understood there; `stopping`: the
        process ends, and no answer is waited for."""
        self._pool, self._objects, self._min_bytes = pool, objects, min_bytes
        self._stopping, self._paused_until_s = stopping, 0.0

    def takes(self, line_bytes: int) -> bool:
        """Whether a merge of so many bytes is to be done there."""
        if line_bytes < self._min_bytes or time.monotonic() < self._paused_until_s:
            return False
        return self._pool.is_ready()

    def merge(self, spec: MergeSpec) -> BlockRow:
        """Do it there; raises `LostMergeError`, and what merging raised."""
        until_s = time.monotonic() + LONGEST_S
        wanted = Wanted(
            message=lambda _: Call(merge_at, (self._objects, spec)),
            budget=Budget(),  # a row comes back
            is_abandoned=lambda: self._stopping() or time.monotonic() > until_s,
            add_cpu_s=lambda _: None,
        )
        try:
            with self._pool.one() as worker:
                if worker is None:
                    raise LostMergeError
                found: BlockRow = worker.run(wanted)
        except (ProcessGoneError, LostTaskError) as error:
            raise LostMergeError from error
        FAR_MERGES.labels("done").inc()
        return found

    def failed(self, error: Exception) -> None:
        """A merge failed there, and is done here: none is sent there for a while."""
        FAR_MERGES.labels("failed").inc()
        self._paused_until_s = time.monotonic() + PAUSE_S
        log.warning("a merge failed on Ray and is done here", error=repr(error))

    def end_idle(self, idle_s: float) -> int:
        """Let the cluster go when nothing was merged for so long."""
        return self._pool.end_idle(idle_s)

    def close(self) -> None:
        """Once nothing is merged any more."""
        self._pool.close()
