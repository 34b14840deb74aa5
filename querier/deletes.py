"""How are entries deleted? Their blocks are written again without them (http-api §6).

A request waits for its cancel period, then everything acknowledged is flushed, and each block that
holds matching entries is replaced in one transaction. Invariant: `processed` is told only after
every such block was replaced; a crash in between leaves the request to be done again. A request is
begun in the catalog before its first block is touched: one whose cancelling was acknowledged
deletes nothing. Of two workers that meet, one goes on.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import structlog
from prometheus_client import Counter

from logql import ast
from logql.parser import parse
from narfi.core.clock import NS_PER_MS, Clock
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.tenant import TenantId
from querier.operators.base import Demand
from querier.operators.pipeline import build_pipeline
from querier.plan.tasks import frame_of
from storage.block.merge import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from storage.scan import Columns, ScanRequest
from storage.store import BlockStore

log = structlog.get_logger(__name__)

DELETED_ENTRIES = Counter(
    "narfi_deleted_entries_total", "Entries that delete requests removed from blocks."
)
DELETED_BYTES = Counter("narfi_deleted_bytes_total", "Line bytes of these.")

NOT_FOUND = "could not find delete request with given id"
NOT_CANCELLABLE = "deletion of request which is in process or already processed is not allowed"


class DeleteRequestNotFoundError(AppError):
    """No request of the tenant has this id."""

    kind = ErrorKind.NOT_FOUND


@dataclass(frozen=True, slots=True)
class DeleteParts:
    """What deletions work with."""

    log: DeleteLog
    catalog: Catalog
    store: BlockStore
    clock: Clock
    flush: Callable[[], None]
    cancel_period_ns: int


class Deletes:
    """Delete requests of all tenants; `execute` is called by the upkeep thread."""

    def __init__(self, parts: DeleteParts) -> None:
        self._parts = parts

    def create(self, tenant: TenantId, query: str, start_ns: int, end_ns: int) -> DeleteRequest:
        """Remember a request; raises `InvalidRequestError` for a query that cannot delete."""
        check_query(query)
        now = self._parts.clock.now_ns()
        request = DeleteRequest(tenant, secrets.token_hex(4), query, start_ns, end_ns, now)
        self._parts.log.add(request)
        return request

    def requests(self, tenant: TenantId) -> list[DeleteRequest]:
        """The tenant's requests, oldest first."""
        return list(self._parts.log.requests(tenant))

    def cancel(self, tenant: TenantId, request_id: str, *, force: bool) -> None:
        """Forget a request that was not begun; one that is partly done only when forced."""
        requests = self._parts.log
        while True:
            found = [r for r in requests.requests(tenant) if r.request_id == request_id]
            if not found:
                raise DeleteRequestNotFoundError(NOT_FOUND)
            status = found[0].status
            if status == PROCESSED or (status != RECEIVED and not force):
                raise InvalidRequestError(NOT_CANCELLABLE)
            if requests.remove(found[0], begun=force):
                return  # else a worker was faster: look again, it only goes on

    def execute(self) -> int:
        """Do every request that is due; the number of entries removed.

        A request that fails stops no other: the first error is raised at the end.
        """
        now = self._parts.clock.now_ns()
        due = [
            request
            for request in self._parts.log.requests()
            if request.status != PROCESSED
            and now - request.created_ns >= self._parts.cancel_period_ns
        ]
        if due:
            self._parts.flush()
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
        query, parts = check_query(request.query), self._parts
        begun = request.status if request.status != RECEIVED else _progress(0, 1)
        before, request = request, replace(request, status=begun)
        if not parts.log.change(before, request):
            return 0
        rows = list(parts.catalog.blocks(request.tenant, request.start_ns, request.end_ns + 1))
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
            if not parts.log.change(before, request):
                return all_removed
        parts.log.change(request, replace(request, status=PROCESSED))
        return all_removed

    def _rewrite(
        self, row: BlockRow, request: DeleteRequest, query: ast.LogQuery
    ) -> tuple[int, int]:
        """(entries, line bytes) removed from a block; the block is replaced when there are any."""
        parts = self._parts
        source = parts.store.source(row)
        streams = source.table.select(query.selector.matchers)
        span = ScanRequest(streams, request.start_ns, request.end_ns + 1, Columns())
        pipeline = build_pipeline(query.stages, Demand(frozenset(), errors=True))
        found = [
            pipeline.apply(frame_of(source.read(segment, span))).rows
            for segment in source.segments(span)
        ]
        doomed = np.concatenate(found) if found else np.zeros(0, np.int64)
        if not len(doomed):
            return 0, 0
        keep = np.ones(row.rows, np.bool_)
        keep[doomed] = False
        rest = parts.store.rewrite([Kept(source, keep)], row.tenant, row.cut_id, row.level)
        added = [] if rest is None else [rest]
        parts.store.replace([row.block_id], added)
        return len(doomed), row.line_bytes - sum(block.line_bytes for block in added)


def _progress(done: int, of: int) -> str:
    return f"{100 * done // of}% Complete"


def check_query(text: str) -> ast.LogQuery:
    """A log query of a selector and filters; raises `InvalidRequestError` for anything else."""
    if not text:
        raise InvalidRequestError("query not set")
    try:
        expr = parse(text)
    except AppError as error:
        raise InvalidRequestError("invalid query expression") from error
    filters = (ast.LineFilter, ast.LabelFilterStage)
    if not isinstance(expr, ast.LogQuery) or not all(isinstance(s, filters) for s in expr.stages):
        raise InvalidRequestError("invalid query expression")
    return expr


def to_ms(ts_ns: int) -> float:
    """Seconds with a fraction of milliseconds, as clients read times of requests."""
    return ts_ns // NS_PER_MS / 1000
