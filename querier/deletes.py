"""How are entries deleted? Their blocks are written again without them (http-api §6).

A request waits for its cancel period, then everything acknowledged is flushed, and each block that
holds matching entries is replaced in one transaction. Invariant: `processed` is told only after
every such block was replaced; a crash in between leaves the request to be done again.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from prometheus_client import Counter

from logql import ast
from logql.parser import parse
from narfi.core.clock import NS_PER_MS, Clock
from narfi.core.columns import I64
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.tenant import TenantId
from querier.operators.base import Demand
from querier.operators.pipeline import build_pipeline
from querier.plan.tasks import frame_of
from storage.block.merge import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from storage.scan import Columns, LogSource, ScanRequest
from storage.store import BlockStore

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
        for request in self._parts.log.requests(tenant):
            if request.request_id == request_id:
                if request.status == PROCESSED or (request.status != RECEIVED and not force):
                    raise InvalidRequestError(NOT_CANCELLABLE)
                self._parts.log.remove(request)
                return
        raise DeleteRequestNotFoundError(NOT_FOUND)

    def execute(self) -> int:
        """Do every request that is due; the number of entries removed."""
        now = self._parts.clock.now_ns()
        due = [
            request
            for request in self._parts.log.requests()
            if request.status != PROCESSED
            and now - request.created_ns >= self._parts.cancel_period_ns
        ]
        if due:
            self._parts.flush()
        return sum(self._do(request) for request in due)

    def _do(self, request: DeleteRequest) -> int:
        query = check_query(request.query)
        parts = self._parts
        rows = list(parts.catalog.blocks(request.tenant, request.start_ns, request.end_ns + 1))
        for done, row in enumerate(rows):
            progress = f"{100 * done // len(rows)}% Complete"
            request = replace(request, status=progress)
            removed, size = self._rewrite(row, request, query)
            if removed:
                DELETED_ENTRIES.inc(removed)
                DELETED_BYTES.inc(size)
                request = replace(
                    request,
                    deleted_rows=request.deleted_rows + removed,
                    deleted_bytes=request.deleted_bytes + size,
                )
                parts.log.update(request)
        parts.log.update(replace(request, status=PROCESSED))
        return request.deleted_rows

    def _rewrite(
        self, row: BlockRow, request: DeleteRequest, query: ast.LogQuery
    ) -> tuple[int, int]:
        """(entries, line bytes) removed from a block; the block is replaced when there are any."""
        store = self._parts.store
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
    span = ScanRequest(streams, request.start_ns, request.end_ns + 1, Columns())
    pipeline = build_pipeline(query.stages, Demand(frozenset(), errors=True))
    found = [
        pipeline.apply(frame_of(source.read(segment, span))).rows
        for segment in source.segments(span)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


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
