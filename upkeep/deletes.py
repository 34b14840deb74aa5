"""How are entries deleted? Their blocks are written again without them (http-api §6).

A request waits for its cancel period; meanwhile, and until it is told as done, queries hide what it
matches. Then everything acknowledged is flushed, and each block that holds matching entries is
replaced in one transaction; again for what was pushed meanwhile, until nothing is found. What the
other due requests of the tenant match in the same block goes with it, so a block is written anew
once in a round, however many requests match in it; each keeps a receipt of its own.
Invariants: what is removed is what was hidden (`FindRows`). `processed` is told only after
every such block was replaced; a crash in between leaves the request to be done again. A request is
begun in the catalog before its first block is touched: one whose cancelling was acknowledged
deletes nothing. Of two workers that meet, one goes on.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import structlog
from prometheus_client import Counter

from narfi.core.audit import audit
from narfi.core.clock import Clock
from narfi.core.columns import I64
from querier.budget import Budget
from querier.reading.deletes import Deletion, deletion_of
from querier.reading.hiding import FindRows
from querier.result import QueryStats
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from storage.scan import LogSource
from storage.store import BlockStore
from upkeep.worker import Kind, Work, Worker

log = structlog.get_logger(__name__)

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
        began = time.monotonic()
        with self._worker.round(Kind.DELETE) as this:
            due = [
                _Done(request=request) for request in self._ripe() if this.may_try(_work(request))
            ]
            if due:
                self._flush()
            for one in due:
                beside = [
                    done
                    for done in due
                    if done is not one and done.request.tenant == one.request.tenant
                ]
                this.do(_work(one.request), partial(self._do, one, beside))
                if time.monotonic() - began > MAX_ROUND_S:
                    break
        return sum(done.removed for done in due)

    def _ripe(self) -> list[DeleteRequest]:
        """Requests that are not done, and cannot be cancelled any more for their age."""
        return list(self._log.made_before(self._clock.now_ns() - self._cancel_period_ns))

    def _do(self, done: "_Done", beside: Sequence["_Done"]) -> int:
        """Begin or go on with a request; entries removed now. Stops when it is cancelled.

        What others of the tenant that are due match in the same blocks is removed with it.
        """
        if not self._begin(done):
            return 0
        together = [done, *filter(self._joins, beside)]
        for again in range(PASSES):
            if again:
                self._flush()
            removed_before = done.removed
            if not self._pass_over(together):
                break  # cancelled
            if done.removed == removed_before:
                now_ns = self._clock.now_ns()
                ended = replace(done.request, status=PROCESSED, finished_ns=now_ns)
                if self._log.change(done.request, ended):
                    _tell_done(ended)
                done.goes_on = False
                break
        return done.removed

    def _begin(self, done: "_Done") -> bool:
        """Read the request, and tell in the catalog that it is begun; whether it goes on."""
        done.deletion = deletion_of(done.request)
        before = done.request
        begun = before.status if before.status != RECEIVED else _progress(0, 1)
        done.request = replace(before, status=begun)
        done.goes_on = self._log.change(before, done.request)
        return done.goes_on

    def _joins(self, done: "_Done") -> bool:
        """Whether another request goes on beside the one that is done; begun once in a round."""
        if done.deletion is None:
            try:
                self._begin(done)
            except Exception as error:  # noqa: BLE001 - its own job meets it again, and tells it
                log.info("a delete request cannot join another", error=repr(error))
                done.goes_on = False
        return done.goes_on

    def _pass_over(self, together: Sequence["_Done"]) -> bool:
        """Rewrite the blocks of the first that were not looked at; false when it is cancelled."""
        first = together[0]
        deletion = first.wanted()
        found = self._catalog.blocks(first.request.tenant, deletion.start_ns, deletion.end_ns)
        rows = [row for row in found if row.block_id not in first.clean]
        for number, row in enumerate(rows):
            asked = [first, *(done for done in together[1:] if done.asks_for(row))]
            self._rewrite(row, asked, _progress(number, len(rows)))
            if not first.goes_on:
                return False
        return True

    def _rewrite(self, row: BlockRow, asked: Sequence["_Done"], progress: str) -> None:
        """Replace the block by one without what the requests match, if that is anything.

        An entry that several of them match counts for the first. `progress`: of the first.
        """
        store = self._store
        keep = np.ones(row.rows, np.bool_)
        doomed: list[tuple[_Done, I64]] = []
        with store.opened([row]) as (source,):
            for done in asked:
                try:
                    rows = self._find(source, done.wanted(), Budget(), QueryStats())
                except Exception as error:
                    if done is asked[0]:
                        raise
                    log.info("a delete request leaves another alone", error=repr(error))
                    done.goes_on = False  # its own job meets it again, and tells it
                    continue
                doomed.append((done, rows[keep[rows]]))
                keep[rows] = False
            left = [row.block_id]
            sizes = [0] * len(doomed)
            if not keep.all():
                rest = store.rewrite([Kept(source, keep)], row.tenant, row.cut_id, row.level)
                added = [] if rest is None else [rest]
                sizes = _sizes([rows for _, rows in doomed], source, row, added)
        if not keep.all():
            store.replace([row.block_id], added)
            left = [block.block_id for block in added]
        for (done, rows), size in zip(doomed, sizes, strict=True):
            done.clean.update(left)
            if len(rows):
                self._note(done, len(rows), size, progress if done is asked[0] else None)

    def _note(self, done: "_Done", removed: int, size: int, progress: str | None) -> None:
        """Write the receipt of what was removed; the request stops when it is cancelled."""
        DELETED_ENTRIES.inc(removed)
        DELETED_BYTES.inc(size)
        done.removed += removed
        before = done.request
        done.request = replace(
            before,
            status=progress or before.status,
            deleted_rows=before.deleted_rows + removed,
            deleted_bytes=before.deleted_bytes + size,
        )
        done.goes_on = self._log.change(before, done.request)


@dataclass(slots=True, kw_only=True)
class _Done:
    """How far a request is in this round."""

    request: DeleteRequest  # as the catalog says
    deletion: Deletion | None = None  # None: not begun in this round
    goes_on: bool = True  # false: done, cancelled, another worker's, or for its own job to fail
    removed: int = 0
    clean: set[str] = field(default_factory=set)  # blocks without a matching entry

    def wanted(self) -> Deletion:
        """What it deletes, once it was begun."""
        assert self.deletion is not None
        return self.deletion

    def asks_for(self, row: BlockRow) -> bool:
        """Whether the block may hold entries of it that nobody looked for."""
        wanted = self.wanted()
        near = wanted.start_ns <= row.max_ts and wanted.end_ns > row.min_ts
        return self.goes_on and near and row.block_id not in self.clean


def _sizes(
    doomed: Sequence[I64], source: LogSource, row: BlockRow, added: Sequence[BlockRow]
) -> list[int]:
    """The line bytes that go by each request; of one alone the blocks tell."""
    if sum(1 for rows in doomed if len(rows)) > 1:
        sums = source.line_sums(load=True)
        assert sums is not None, "asked to load them"
        return [int((sums[rows + 1] - sums[rows]).sum()) for rows in doomed]
    gone = row.line_bytes - sum(block.line_bytes for block in added)
    return [gone if len(rows) else 0 for rows in doomed]


def _tell_done(request: DeleteRequest) -> None:
    audit(
        "delete done",
        tenant=request.tenant,
        delete_request=request.request_id,
        query=request.query,
        entries=request.deleted_rows,
        bytes=request.deleted_bytes,
    )


def _progress(done: int, of: int) -> str:
    return f"{100 * done // of}% Complete"


def _work(request: DeleteRequest) -> Work:
    """One request; its blocks are not taken, since a swap that meets another's is refused."""
    return Work(Kind.DELETE, request.tenant, (), request.request_id)
