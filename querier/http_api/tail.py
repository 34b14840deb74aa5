"""`tail`: a WebSocket of live entries (reference/http-api.md §5)."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Response, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from logql.ast import LogQuery
from logql.parser import parse
from narfi.core.auth import TENANT_HEADER
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import Streams, grant_of
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.http_api.encode import encode_tail
from querier.http_api.form import parse_form
from querier.http_api.grouped_tail import GroupedAsked, GroupedTail
from querier.http_api.params import (
    CATEGORIZE,
    DEFAULT_SINCE_NS,
    FLAGS_HEADER,
    Parameters,
    encoding_flags,
    parse_atoi,
    parse_limit,
    parse_time,
)
from querier.http_api.requests import MAX_SHOWN_TEXT, QueryContext
from querier.logs.tail import Tailer, TailHub
from querier.logs.tail_sent import Followers, Position
from querier.query import Direction, QueryOptions
from querier.result import LabelPairs, LogStream, StreamsResult, Told
from querier.running import Asked

POLL_S = 0.5
MAX_ENTRIES = 100
"""Entries of one message."""
MAX_DELAY_S = 5
MAX_DURATION_S = 3600.0
FAILED = 1011
PATH = "/loki/api/v1/tail"
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A checked request."""

    tenant: TenantId
    text: str
    query: LogQuery | None  # None: a metric query
    start_ns: int
    limit: int
    delay_s: int
    flags: tuple[str, ...]
    streams: Streams  # that the client may see
    who: str  # the token's name
    is_grouped: bool  # frames for a page
    position: Position | None
    shows_parsed: bool


def tail_router(
    context: QueryContext, hub: TailHub, status_of: Callable[[ErrorKind], int]
) -> APIRouter:
    """The WebSocket endpoints, and what a plain GET of them is told."""
    router, followers = APIRouter(), Followers()

    async def tail(socket: WebSocket) -> None:
        try:
            asked = _parse(context, socket)
        except AppError as error:
            answer = Response(error.message, status_of(error.kind), media_type="text/plain")
            await socket.send_denial_response(answer)
            return
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):  # while it is told why it ends, too
            try:
                await _follow(context, hub, socket, asked, followers)
            except AppError as error:
                await _close(socket, error.message)

    async def plain() -> Response:
        return Response("Bad Request\n", 400, media_type="text/plain; charset=utf-8")

    router.add_api_websocket_route(PATH, tail)
    router.add_api_route(PATH, plain, methods=["GET"], response_model=None)
    return router


def _parse(context: QueryContext, socket: WebSocket) -> _Asked:
    grant = grant_of(socket.scope)
    parameters = Parameters(parse_form(socket.scope["query_string"]))
    tenants = context.tenancy.tenants(_headers(socket, parameters.get("tenant")), grant)
    if len(tenants) > 1:
        raise InvalidRequestError("multiple org IDs present")
    now_ns = context.clock.now_ns()
    expr = parse(parameters.get("query"))
    return _Asked(
        tenant=tenants[0],
        text=parameters.get("query"),
        query=expr if isinstance(expr, LogQuery) else None,
        start_ns=parse_time(parameters.get("start"), now_ns - DEFAULT_SINCE_NS),
        limit=parse_limit(parameters),
        delay_s=_delay(parameters),
        flags=_flags(socket, parameters),
        streams=grant.streams,
        who=grant.name,
        is_grouped=parameters.get("grouped") in ("1", "true"),
        position=Position.parse(parameters.get("from")),
        shows_parsed=parameters.get("parsed") in ("1", "true"),
    )


def _headers(socket: WebSocket, tenant: str) -> Mapping[str, str]:
    """Those of the request; browsers cannot set the tenant's, so there is a parameter for it."""
    named = socket.headers.get(TENANT_HEADER)
    if named and tenant and named != tenant:
        raise InvalidRequestError("the parameter tenant differs from the header X-Scope-OrgID")
    return {TENANT_HEADER: tenant} if tenant else socket.headers


def _flags(socket: WebSocket, parameters: Parameters) -> tuple[str, ...]:
    """Of the header, and of a parameter for browsers."""
    asked = encoding_flags({FLAGS_HEADER: parameters.get("flags")})
    return tuple(dict.fromkeys((*encoding_flags(socket.headers), *asked)))


def _delay(parameters: Parameters) -> int:
    text = parameters.get("delay_for")
    if not text:
        return 0
    delay = parse_atoi(text)
    if delay > MAX_DELAY_S:
        raise InvalidRequestError(f"delay_for can't be greater than {MAX_DELAY_S}")
    return max(delay, 0)


async def _follow(
    context: QueryContext, hub: TailHub, socket: WebSocket, asked: _Asked, followers: Followers
) -> None:
    if asked.query is None:
        raise InvalidRequestError("only log queries can be tailed")
    categorized = asked.is_grouped or CATEGORIZE in asked.flags
    tailer = Tailer(query=asked.query, categorized=categorized, streams=asked.streams)
    limits = context.service.limits_of(asked.tenant)
    hub.open(asked.tenant, tailer, limits.max_concurrent_tail_requests)
    shown = Asked(
        tenants=(asked.tenant,),
        route=PATH,
        text=asked.text[:MAX_SHOWN_TEXT],
        who=asked.who,
        streams=asked.streams,
    )
    with context.running.one(shown) as budget:
        if asked.is_grouped:
            budget.begin(limits)
            grouped = GroupedTail(context, _grouped(asked), followers, budget)
            work = grouped.run(hub, tailer, socket.send_text)
        else:
            work = _send_all(context, hub, socket, asked, tailer, budget)
        await _until_end(work, hub, socket, asked, tailer, budget)


def _grouped(asked: _Asked) -> GroupedAsked:
    return GroupedAsked(
        tenant=asked.tenant,
        text=asked.text,
        start_ns=asked.start_ns,
        limit=asked.limit,
        position=asked.position,
        every_s=max(POLL_S, asked.delay_s),
        shows_parsed=asked.shows_parsed,
        who=asked.who,
    )


async def _until_end(
    work: Coroutine[None, None, None],
    hub: TailHub,
    socket: WebSocket,
    asked: _Asked,
    tailer: Tailer,
    budget: Budget,
) -> None:
    gone = asyncio.create_task(_until_gone(socket))
    sending = asyncio.create_task(work)
    try:
        await asyncio.wait(
            {gone, sending}, timeout=MAX_DURATION_S, return_when=asyncio.FIRST_COMPLETED
        )
        if sending.done():
            sending.result()
        elif not gone.done():
            await _close(socket, "reached tail max duration limit")
    finally:
        budget.cancel()
        hub.close(asked.tenant, tailer)
        gone.cancel()
        sending.cancel()


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _send_all(
    context: QueryContext,
    hub: TailHub,
    socket: WebSocket,
    asked: _Asked,
    tailer: Tailer,
    budget: Budget,
) -> None:
    """History, then what comes; entries that are in both are sent once."""
    await asyncio.to_thread(hub.join, asked.tenant)
    told = await _history(context, asked, tailer.categorized, budget)
    await _send(socket, told.value, (), asked.flags, told.warnings)
    seen = {(s.labels, s.entries[0].ts_ns, s.entries[0].line) for s in told.value}
    while True:
        await asyncio.sleep(max(POLL_S, asked.delay_s))
        if (why := budget.cancelled_because) is not None:
            raise QueryCancelledError(why)
        drained = await asyncio.to_thread(tailer.drain)
        fresh = [s for s in drained.streams if not seen or not _was_sent(s, seen)]
        if fresh or drained.dropped or drained.warnings:
            await _send(socket, fresh, drained.dropped, asked.flags, drained.warnings)


def _was_sent(stream: LogStream, seen: set[tuple[LabelPairs, int, bytes]]) -> bool:
    key = (stream.labels, stream.entries[0].ts_ns, stream.entries[0].line)
    if key in seen:
        seen.discard(key)
        return True
    return False


async def _history(
    context: QueryContext, asked: _Asked, categorized: bool, budget: Budget
) -> Told[list[LogStream]]:
    """The newest entries since the start, oldest first; it waits for its turn as a query does."""
    budget.begin(context.service.limits_of(asked.tenant))
    budget.begin_work()
    work = partial(_older, context, asked, categorized, budget)
    return await asyncio.wrap_future(context.pool.submit(asked.tenant, budget, work))


def _older(
    context: QueryContext, asked: _Asked, categorized: bool, budget: Budget
) -> Told[list[LogStream]]:
    end_ns = context.clock.now_ns()
    if asked.start_ns >= end_ns:
        return Told([])
    options = QueryOptions(
        tenants=(asked.tenant,),
        start_ns=asked.start_ns,
        end_ns=end_ns,
        step_ns=NS_PER_MS,
        limits=context.service.limits_of(asked.tenant),
        limit=asked.limit,
        direction=Direction.BACKWARD,
        categorize_labels=categorized,
        budget=budget,
        rules=context.rules,
    )
    answer = context.service.query(asked.text, options)
    result = answer.result
    assert isinstance(result, StreamsResult)
    entries = [(stream.labels, entry) for stream in result.streams for entry in stream.entries]
    entries.sort(key=lambda item: item[1].ts_ns)
    return Told([LogStream(labels, (entry,)) for labels, entry in entries], answer.warnings)


async def _send(
    socket: WebSocket,
    streams: Sequence[LogStream],
    dropped: Sequence[tuple[int, LabelPairs]],
    flags: tuple[str, ...],
    warnings: Sequence[str] = (),
) -> None:
    categorized = CATEGORIZE in flags
    for first in range(0, max(len(streams), 1), MAX_ENTRIES):
        part = streams[first : first + MAX_ENTRIES]
        if part or dropped or warnings:
            text = encode_tail(part, dropped, flags, categorized=categorized, warnings=warnings)
            await socket.send_text(text.decode("utf-8", "replace"))
        dropped, warnings = (), ()


async def _close(socket: WebSocket, reason: str) -> None:
    """End with a reason that fits into a close frame."""
    if socket.application_state is WebSocketState.CONNECTED:
        await socket.close(FAILED, reason.encode()[:120].decode("utf-8", "ignore"))
