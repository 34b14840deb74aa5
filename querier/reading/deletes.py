"""Which entries shall be deleted? Requests of the tenants, remembered until they are done.

From the moment that a request is remembered no query answers its entries (`hiding.py`). It can be
cancelled until its period is over; `upkeep/deletes.py` does what is due.
"""

import secrets
from dataclasses import dataclass, replace

from logql import ast
from logql.format import format_query
from logql.parser import parse
from narfi.core.clock import NS_PER_MS, Clock
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ALL_STREAMS, Streams
from narfi.core.limits import LimitsOf
from narfi.core.matchers import Matcher
from narfi.core.tenant import TenantId
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest

MAX_QUERY_BYTES = 16 * 1024
"""Of a request's query: pending ones are held in memory, as many as a tenant may have."""
NOT_FOUND = "could not find delete request with given id"
NOT_CANCELLABLE = "deletion of request which is in process or already processed is not allowed"


class DeleteRequestNotFoundError(AppError):
    """No request of the tenant has this id."""

    kind = ErrorKind.NOT_FOUND


class TooManyDeletesError(AppError):
    """The tenant has as many pending requests as it may (429)."""

    kind = ErrorKind.RATE_LIMITED


class DeleteRequests:
    """Delete requests of all tenants."""

    def __init__(self, log: DeleteLog, clock: Clock, limits_of: LimitsOf) -> None:
        self._log, self._clock, self._limits_of = log, clock, limits_of

    def create(
        self,
        tenant: TenantId,
        query: str,
        start_ns: int,
        end_ns: int,
        *,
        permitted: Streams = ALL_STREAMS,
        by: str = "",
    ) -> DeleteRequest:
        """Remember a request for the permitted streams, within `[start, end]` ns.

        Raises `InvalidRequestError` for a query that cannot delete, `TooManyDeletesError` when the
        tenant has too many requests that are not done.
        """
        if len(query.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
            message = f"the query is longer than {MAX_QUERY_BYTES} bytes"
            raise InvalidRequestError(f"invalid query expression: {message}")
        query = _limited(check_query(query), permitted) if permitted else query
        check_query(query)
        most = self._limits_of(tenant).max_pending_delete_requests
        now = self._clock.now_ns()
        request = DeleteRequest(
            tenant=tenant,
            request_id=secrets.token_hex(4),
            query=query,
            start_ns=start_ns,
            end_ns=end_ns,
            created_ns=now,
            requested_by=by,
        )
        if not self._log.add(request, most):
            raise TooManyDeletesError(
                f"tenant {tenant} has {most} delete requests that are not done, which is the limit "
                "(max_pending_delete_requests): wait until some are, cancel some, or ask for "
                "several deletions by one query"
            )
        return request

    def requests(
        self, tenant: TenantId, *, permitted: Streams = ALL_STREAMS
    ) -> list[DeleteRequest]:
        """The tenant's requests, oldest first; of those that are done the newest thousand.

        Only those that delete nothing but permitted streams.
        """
        return [one for one in self._log.requests(tenant) if _is_within(one, permitted)]

    def request(
        self, tenant: TenantId, request_id: str, *, permitted: Streams = ALL_STREAMS
    ) -> DeleteRequest:
        """One request; raises `DeleteRequestNotFoundError`."""
        found = self._log.request(tenant, request_id)
        if found is None or not _is_within(found, permitted):
            raise DeleteRequestNotFoundError(NOT_FOUND)
        return found

    def cancel(
        self,
        tenant: TenantId,
        request_id: str,
        *,
        force: bool,
        permitted: Streams = ALL_STREAMS,
    ) -> None:
        """Forget a request that was not begun; one that is partly done only when forced."""
        while True:
            found = self.request(tenant, request_id, permitted=permitted)
            status = found.status
            if status == PROCESSED or (status != RECEIVED and not force):
                raise InvalidRequestError(NOT_CANCELLABLE)
            if self._log.remove(found, begun=force):
                return  # else a worker was faster: look again, it only goes on


def _limited(query: ast.LogQuery, permitted: Streams) -> str:
    """The query of the permitted streams alone."""
    both = tuple(dict.fromkeys((*query.selector.matchers, *permitted)))
    return format_query(replace(query, selector=replace(query.selector, matchers=both)))


def _is_within(request: DeleteRequest, permitted: Streams) -> bool:
    """Whether it surely deletes permitted streams alone: it names every matcher of the policy."""
    return not permitted or set(permitted) <= set(check_query(request.query).selector.matchers)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What a request deletes: entries of streams of the matchers that the stages leave over."""

    request_id: str
    matchers: tuple[Matcher, ...]
    stages: tuple[ast.Stage, ...]
    start_ns: int
    end_ns: int  # exclusive


def deletion_of(request: DeleteRequest) -> Deletion:
    """Its query, read; raises `InvalidRequestError` as `check_query`."""
    query = check_query(request.query)
    return Deletion(
        request_id=request.request_id,
        matchers=tuple(query.selector.matchers),
        stages=tuple(query.stages),
        start_ns=request.start_ns,
        end_ns=request.end_ns + 1,
    )


def to_ms(ts_ns: int) -> float:
    """Seconds with a fraction of milliseconds, as clients read times of requests."""
    return ts_ns // NS_PER_MS / 1000
