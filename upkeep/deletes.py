"""How are entries deleted? Their blocks are written again without them (http-api §6).

A request waits for its cancel period, then everything acknowledged is flushed, and each block that
holds matching entries is replaced in one transaction. Invariant: `processed` is told only after
every such block was replaced; a crash in between leaves the request to be done again. A request is
begun in the catalog before its first block is touched: one whose cancelling was acknowledged
deletes nothing. Of two workers that meet, one goes on.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import structlog
from prometheus_client import Counter

from logql import ast
from narfi.core.clock import Clock
from narfi.core.columns import I64
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.pipeline import build_pipeline
from querier.reading.deletes import check_query
from storage.block.merge import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from storage.scan import Columns, LogSource, ScanRequest
from storage.store import BlockStore

log = structlog.get_logger(__name__)

DELETED_ENTRIES = Counter(
    "narfi_deleted_entries_total", "Entries that delete requests removed from blocks."
)
DELETED_BYTES = Counter("narfi_deleted_bytes_total", "Line bytes of these.")


class Deletes:
    """Does the delete requests of all tenants; `execute` is called by the upkeep thread."""

    def __init__(
        self,
        *,
        log: DeleteLog,
        catalog: Catalog,
        store: BlockStore,
        clock: Clock,
        flush: Callable[[], None],
        cancel_period_ns: int,
    ) -> None:
        self._log, self._catalog, self._store, self._clock = log, catalog, store, clock
        self._flush, self._cancel_period_ns = flush, cancel_period_ns

    def execute(self) -> int:
        """Do every request that is due; the number of entries removed.

        A request that fails stops no other: the first error is raised at the end.
        """
        now = self._clock.now_ns()
        due = [
            request
            for request in self._log.requests()
            if request.status != PROCESSED and now - request.created_ns >= self._cancel_period_ns
        ]
        if due:
            self._flush()
        removed, errors = 0, list[Exception]()
        for request in due:
            try:
                removed += self._do(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, others are still done
                log.error("a delete failed", request=request.request_id, error=str(error))
                errors.append(error)
        if errors:
            raise errors[0]
        return removed

    def _do(self, request: DeleteRequest) -> int:
        """Begin or go on with a request; entries removed now. Stops when it is cancelled."""
        query = check_query(request.query)
        begun = request.status if request.status != RECEIVED else _progress(0, 1)
        before, request = request, replace(request, status=begun)
        if not self._log.change(before, request):
            return 0
        rows = list(self._catalog.blocks(request.tenant, request.start_ns, request.end_ns + 1))
        all_removed = 0
        for done, row in enumerate(rows):
            removed, size = self._rewrite(row, request, query)
            if not removed:
                continue
            DELETED_ENTRIES.inc(removed)
            DELETED_BYTES.inc(size)
            all_removed += removed
            before, request = (
                request,
                replace(
                    request,
                    status=_progress(done, len(rows)),
                    deleted_rows=request.deleted_rows + removed,
                    deleted_bytes=request.deleted_bytes + size,
                ),
            )
            if not self._log.change(before, request):
                return all_removed
        self._log.change(request, replace(request, status=PROCESSED))
        return all_removed

    def _rewrite(
        self, row: BlockRow, request: DeleteRequest, query: ast.LogQuery
    ) -> tuple[int, int]:
        """(entries, line bytes) removed from a block; the block is replaced when there are any."""
        store = self._store
        with store.opened([row]) as (source,):
            doomed = _matching(source, request, query)
            if not len(doomed):
                return 0, 0
            keep = np.ones(row.rows, np.bool_)
            keep[doomed] = False
            rest = store.rewrite([Kept(source, keep)], row.tenant, row.cut_id, row.level)
        added = [] if rest is None else [rest]
        store.replace([row.block_id], added)
        return len(doomed), row.line_bytes - sum(block.line_bytes for block in added)


def _matching(source: LogSource, request: DeleteRequest, query: ast.LogQuery) -> I64:
    """Rows that the request deletes."""
    streams = source.table.select(query.selector.matchers)
    span = ScanRequest(
        streams=streams, start_ns=request.start_ns, end_ns=request.end_ns + 1, columns=Columns()
    )
    pipeline = build_pipeline(query.stages, Demand(frozenset(), errors=True))
    found = [
        pipeline.apply(frame_of(source.read(segment, span))).rows
        for segment in source.segments(span)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _progress(done: int, of: int) -> str:
    return f"{100 * done // of}% Complete"
