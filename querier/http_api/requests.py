"""What do all query endpoints need of a request? Tenants, parameters, and a worker thread."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from fastapi import Request, Response

from narfi.core.auth import TENANT_HEADER, Tenancy
from narfi.core.clock import Clock
from narfi.core.errors import InvalidRequestError
from narfi.core.grant import grant_of
from narfi.core.limits import Limits, strictest
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.executors.fair import WAITED_SHARE, FairPool, waits_in_vain
from querier.http_api.encode import Apply
from querier.http_api.form import Pairs, is_form, parse_form, parse_form_leniently
from querier.http_api.params import Bounds, Parameters, parse_bounds
from querier.http_api.query_log import QueryLog, Watched
from querier.http_api.streaming import JSON_TYPE, Body, answer_of
from querier.reading.admission import check_length, within_lookback
from querier.result import Told
from querier.rules import ALL_RULES, Rules
from querier.running import Asked, Running, StoppingError
from querier.service import QueryService

log = structlog.get_logger(__name__)

T = TypeVar("T")
_UNUSUAL = re.compile(r"[^a-zA-Z0-9\-=.@, ]")  # replaced in logged tags, as Loki does

WARNING_HEADER = "X-Narfi-Warning"
MAX_WARNING_BYTES = 2048
"""Of these headers of an answer, about."""
MAX_FORM_BYTES = 10 * 1024 * 1024
MAX_SHOWN_BODY = 64 * 1024
"""Of a form that is read once more for those who look at what runs."""
MAX_SHOWN_TEXT = 4096
"""Characters of a query that are shown to those who look at what runs."""
LOOK_S = 0.5
"""At most, between two looks at what became of a request."""
SOON_S = 0.1
"""Most requests have ended by then; for the others somebody listens whether their client goes."""
LEAST_LOOK_S = 0.01
LATE_SHARE = 0.05
"""Of its time: so late the client is told at the latest that it is over. The work looks at the
deadline each 100 ms of CPU; on a machine that has none to give, that is long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryContext:
    """What query endpoints are made with."""

    service: QueryService
    pool: FairPool
    tenancy: Tenancy
    clock: Clock
    running: Running
    rules: Rules = ALL_RULES
    apply: Apply = map
    """Who prints large answers."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Of a large answer that makes a piece."""
    query_log: QueryLog = field(default_factory=QueryLog)

    def tenants(self, request: Request) -> tuple[TenantId, ...]:
        """The tenants of a query; several only where that is allowed."""
        found = self.tenancy.tenants(request.headers, grant_of(request.scope))
        if len(found) > 1 and not self.limits(found).multi_tenant_queries_enabled:
            raise InvalidRequestError("multiple org IDs present")
        return found

    def limits(self, tenants: Sequence[TenantId]) -> Limits:
        """What a query of these tenants may do."""
        return strictest([self.service.limits_of(tenant) for tenant in tenants])


def of_tenant(request: Request, named: str) -> Request:
    """The request as one of the tenant that a parameter names: a link carries no header.

    Raises `InvalidRequestError` where the header names another one.
    """
    header = request.headers.get(TENANT_HEADER)
    if not named or named == header:
        return request
    if header:
        raise InvalidRequestError("the parameter tenant differs from the header X-Scope-OrgID")
    more = (TENANT_HEADER.encode(), named.encode("utf-8", "surrogateescape"))
    headers = [*request.scope["headers"], more]
    return Request({**request.scope, "headers": headers}, request.receive)


def bounds_of(context: QueryContext, tenants: Sequence[TenantId], parameters: Parameters) -> Bounds:
    """What part of time an endpoint that is no query looks at; the limits of queries hold."""
    limits, now_ns = context.limits(tenants), context.clock.now_ns()
    asked = parse_bounds(parameters, now_ns)
    start_ns = within_lookback(asked.start_ns, limits, now_ns)
    bounds = Bounds(start_ns, max(asked.end_ns, start_ns))
    check_length(bounds.start_ns, bounds.end_ns, limits)
    return bounds


async def parameters_of(request: Request) -> Parameters:
    """Form values before values of the URL."""
    pairs: Pairs = []
    if request.method == "POST":
        body = await request.body()  # at most MAX_FORM_BYTES: the server looks at what arrives
        if is_form(request.headers.get("content-type", "")):
            pairs += parse_form(body)
    return Parameters(pairs + parse_form(request.scope["query_string"]))


def parameters_from(query_string: bytes) -> Parameters:
    """Values of the URL; those that are badly written are left out."""
    return Parameters(parse_form_leniently(query_string))


async def asked_by(context: QueryContext, request: Request) -> Asked:
    """Who asks for what, as it is shown to those who may see it."""
    grant = grant_of(request.scope)
    pairs = parse_form_leniently(request.scope["query_string"])
    if request.method == "POST" and is_form(request.headers.get("content-type", "")):
        body = await request.body()  # was read before
        if len(body) <= MAX_SHOWN_BODY:
            pairs = parse_form_leniently(body) + pairs
    texts = [value for name, value in pairs if name in ("query", "match", "match[]")]
    return Asked(
        tenants=context.tenancy.tenants(request.headers, grant),
        route=request.url.path,
        text=", ".join(texts)[:MAX_SHOWN_TEXT],
        who=grant.name,
        streams=grant.streams,
    )


async def in_pool(context: QueryContext, request: Request, work: Callable[[Budget], T]) -> T:
    """Run blocking work on a query thread, within the budget of its tenant.

    Its time begins now: waiting for a thread counts. A client that goes away cancels it.
    """
    with context.running.one(await asked_by(context, request)) as budget:
        return await _worked(context, request, budget, work, Watched())


async def pieces_in_pool(
    context: QueryContext,
    request: Request,
    work: Callable[[Budget], Told[Iterator[bytes]]],
    watched: Watched | None = None,
) -> Response:
    """As `in_pool`, for a JSON answer in pieces; what it holds is given back when it is sent."""

    def begun(budget: Budget) -> tuple[Body, Sequence[str]]:
        found = work(budget)
        return Body.of(found.value), found.warnings

    with contextlib.ExitStack() as stack:
        one = context.running.one(await asked_by(context, request))
        budget = stack.enter_context(one)
        body, warnings = await _worked(context, request, budget, begun, watched or Watched())
        return warned(answer_of(body, stack.pop_all(), context.turn), warnings)


async def _worked(
    context: QueryContext,
    request: Request,
    budget: Budget,
    work: Callable[[Budget], T],
    watched: Watched,
) -> T:
    with context.query_log.watching(watched, request.scope):
        return await _answered(context, request, budget, work, watched)


async def _answered(
    context: QueryContext,
    request: Request,
    budget: Budget,
    work: Callable[[Budget], T],
    watched: Watched,
) -> T:
    tags = request.headers.get("x-query-tags")
    if tags:
        log.info("request", path=request.url.path, query_tags=_UNUSUAL.sub("_", tags))
    tenants = context.tenancy.tenants(request.headers, grant_of(request.scope))
    budget.begin(context.limits(tenants))
    known = copy_context()  # for what is logged on the thread

    def begun() -> T:
        budget.begin_work()
        watched.begun()
        return known.run(work, budget)

    tenant = "|".join(tenants)
    job = context.pool.submit(tenant, budget, begun)
    future = asyncio.wrap_future(job)
    future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # was looked at
    gone: asyncio.Future[None] | None = None
    try:
        await asyncio.wait({future}, timeout=min(SOON_S, _look_s(budget, job)))
        if future.done():
            return future.result()
        gone = asyncio.ensure_future(_cancel_when_gone(request, budget))
        while True:
            await asyncio.wait(
                (future,) if gone.done() else (future, gone),
                timeout=_look_s(budget, job),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if future.done():
                return future.result()
            if budget.is_over():  # what runs ends by itself, soon
                if not job.cancel():
                    await asyncio.wait({future}, timeout=LATE_SHARE * budget.timeout_s)
                    if future.done():
                        return future.result()
                budget.check()
            if waits_in_vain(budget) and job.cancel():
                raise context.pool.waited_too_long(tenant, budget)
    except QueryCancelledError:
        if context.running.stopped:
            raise StoppingError from None
        if (why := budget.cancelled_because) is not None:  # a scan process does not know it
            raise QueryCancelledError(why) from None
        raise
    finally:
        if gone is not None:
            gone.cancel()


def _look_s(budget: Budget, job: "Future[T]") -> float:
    """Until the request is to be looked at again, if nothing happens."""
    left_s = budget.left_s()
    if left_s is None:
        return LOOK_S
    if not job.running():
        left_s -= (1 - WAITED_SHARE) * budget.timeout_s
    return min(LOOK_S, max(left_s, LEAST_LOOK_S))


async def _cancel_when_gone(request: Request, budget: Budget) -> None:
    """Wait until the client goes away; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    budget.cancel()


def json_response(body: bytes, warnings: Sequence[str] = ()) -> Response:
    """A JSON body that is encoded already, and warnings that have no place in it."""
    return warned(Response(body, media_type=JSON_TYPE), warnings)


def warned(response: Response, warnings: Sequence[str]) -> Response:
    """The response with a header for each warning, and one for all those that have no room.

    Bodies of most endpoints have no place for them, and proxies take few bytes of headers.
    """
    left = MAX_WARNING_BYTES
    for number, text in enumerate(warnings):
        value = text.encode("ascii", "replace").decode()
        if number and len(value) > left:
            response.headers.append(WARNING_HEADER, f"{len(warnings) - number} more warnings")
            break
        response.headers.append(WARNING_HEADER, value[:MAX_WARNING_BYTES])
        left -= len(value)
    return response
