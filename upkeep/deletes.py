"""How are entries deleted? Their blocks are written again without them (http-api §6).

A request waits for its cancel period; meanwhile, and until it is told as done, queries hide what it
matches. Then everything acknowledged is flushed, and each block that holds matching entries is
replaced in one transaction; again for what was pushed meanwhile, until nothing is found.
Invariants: what is removed is what was hidden (`FindRows`). `processed` is told only after
every such block was replaced; a crash in between leaves the request to be done again. A request is
begun in the catalog before its first block is touched: one whose cancelling was acknowledged
deletes nothing. Of two workers that meet, one goes on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from prometheus_client import Counter

from narfi.core.clock import Clock
from querier.budget import Budget
from querier.reading.deletes import Deletion, deletion_of
from querier.reading.hiding import FindRows
from querier.result import QueryStats
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from storage.store import BlockStore
from upkeep.worker import Kind, Work, Worker

DELETED_ENTRIES = Counter(
    "narfi_deleted_entries_total", "Entries that delete requests removed from blocks."
)
DELETED_BYTES = Counter("narfi_deleted_bytes_total", "Line bytes of these.")

RECEIPTS_KEPT_NS = 30 * 24 * 3600 * 10**9
"""How long a request that is done is listed, where no setting says so."""
MAX_ROUND_S = 30.0
"""After that long, a round begins no other request: retention and compaction shall not wait for all
of them, and many small blocks that nobody merges would make them ever slower."""
PASSES = 3
"""Over the blocks in one run. A request for which matching entries come all the time stays pending,
and what it matches hidden, until the next run."""


class Deletes:
    """Does the delete requests of all tenants; `execute` is called by the upkeep thread."""

    def __init__(
        self,
        *,
        log: DeleteLog,
        catalog: Catalog,
        store: BlockStore,
        clock: Clock,
        worker: Worker,
        flush: Callable[[], None],
        find: FindRows,
        cancel_period_ns: int,
        receipts_kept_ns: int = RECEIPTS_KEPT_NS,
    ) -> None:
        self._log, self._catalog, self._store, self._clock = log, catalog, store, clock
        self._worker, self._flush, self._find = worker, flush, find
        self._cancel_period_ns, self._receipts_kept_ns = cancel_period_ns, receipts_kept_ns

    def execute(self) -> int:
        """Do every request that is due; the number of entries removed.

        A request that fails stops no other: the first error is raised at the end. Requests that
        were done long ago are forgotten.
        """
        self._log.forget(self._clock.now_ns() - self._receipts_kept_ns)
        began, removed = time.monotonic(), 0
        with self._worker.round(Kind.DELETE) as this:
            due = [request for request in self._ripe() if this.may_try(_work(request))]
            if due:
                self._flush()
            for one in due:
                removed += this.do(_work(one), partial(self._do, one))
                if time.monotonic() - began > MAX_ROUND_S:
                    break
        return removed

    def _ripe(self) -> list[DeleteRequest]:
        """Requests that are not done, and cannot be cancelled any more for their age."""
        return list(self._log.made_before(self._clock.now_ns() - self._cancel_period_ns))

    def _do(self, request: DeleteRequest) -> int:
        """Begin or go on with a request; entries removed now. Stops when it is cancelled."""
        deletion = deletion_of(request)
        begun = request.status if request.status != RECEIVED else _progress(0, 1)
        before, request = request, replace(request, status=begun)
        if not self._log.change(before, request):
            return 0
        done = _Done(request)
        for again in range(PASSES):
            if again:
                self._flush()
            removed_before = done.removed
            if not self._pass_over(done, deletion):
                break  # cancelled
            if done.removed == removed_before:
                now_ns = self._clock.now_ns()
                ended = replace(done.request, status=PROCESSED, finished_ns=now_ns)
                self._log.change(done.request, ended)
                break
        return done.removed

    def _pass_over(self, done: "_Done", deletion: Deletion) -> bool:
        """Rewrite the blocks that were not looked at; false when the request is cancelled."""
        catalog, before = self._catalog, done.request
        found = catalog.blocks(before.tenant, deletion.start_ns, deletion.end_ns)
        rows = [row for row in found if row.block_id not in done.clean]
        for number, row in enumerate(rows):
            rest, removed, size = self._rewrite(row, deletion)
            done.clean.update(rest)
            if not removed:
                continue
            DELETED_ENTRIES.inc(removed)
            DELETED_BYTES.inc(size)
            done.removed += removed
            before = done.request
            done.request = replace(
                before,
                status=_progress(number, len(rows)),
                deleted_rows=before.deleted_rows + removed,
                deleted_bytes=before.deleted_bytes + size,
            )
            if not self._log.change(before, done.request):
                return False
        return True

    def _rewrite(self, row: BlockRow, deletion: Deletion) -> tuple[list[str], int, int]:
        """(blocks that are left, entries and line bytes removed); replaced when there are any."""
        store, budget = self._store, Budget()
        with store.opened([row]) as (source,):
            doomed = self._find(source, deletion, budget, QueryStats())
            if not len(doomed):
                return [row.block_id], 0, 0
            keep = np.ones(row.rows, np.bool_)
            keep[doomed] = False
            rest = store.rewrite([Kept(source, keep)], row.tenant, row.cut_id, row.level)
        added = [] if rest is None else [rest]
        store.replace([row.block_id], added)
        size = row.line_bytes - sum(block.line_bytes for block in added)
        return [block.block_id for block in added], len(doomed), size


@dataclass(slots=True)
class _Done:
    """How far a request is in this run."""

    request: DeleteRequest  # as the catalog says
    removed: int = 0
    clean: set[str] = field(default_factory=set)  # blocks without a matching entry


def _progress(done: int, of: int) -> str:
    return f"{100 * done // of}% Complete"


def _work(request: DeleteRequest) -> Work:
    """One request; its blocks are not taken, since a swap that meets another's is refused."""
    return Work(Kind.DELETE, request.tenant, (), request.request_id)
