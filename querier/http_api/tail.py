"""`tail`: a WebSocket of live entries (reference/http-api.md §5)."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request, Response, WebSocket
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect, WebSocketState

from logql.ast import LogQuery
from logql.parser import parse
from narfi.core.auth import TENANT_HEADER
from narfi.core.clock import NS_PER_MS, NS_PER_S
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import Streams, grant_of
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.http_api.encode import encode_tail
from querier.http_api.form import parse_form
from querier.http_api.grouped_tail import GroupedAsked, GroupedTail
from querier.http_api.legacy import old_tail_message
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
PATH, OLD_PATH = "/loki/api/v1/tail", "/api/prom/tail"


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
    is_old: bool  # messages in the form of `/api/prom`
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

    async def plain(request: Request) -> Response:
        _parse(context, request)
        return Response("Bad Request\n", 400, media_type="text/plain; charset=utf-8")

    for path in (PATH, OLD_PATH):
        router.add_api_websocket_route(path, tail)
        router.add_api_route(path, plain, methods=["GET"], response_model=None)
    return router


def _parse(context: QueryContext, socket: HTTPConnection) -> _Asked:
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
        is_old=socket.scope["path"] == OLD_PATH,
        is_grouped=parameters.get("grouped") in ("1", "true"),
        position=Position.parse(parameters.get("from")),
        shows_parsed=parameters.get("parsed") in ("1", "true"),
    )


def _headers(socket: HTTPConnection, tenant: str) -> Mapping[str, str]:
    """Those of the request; browsers cannot set the tenant's, so there is a parameter for it."""
    named = socket.headers.get(TENANT_HEADER)
    if named and tenant and named != tenant:
        raise InvalidRequestError("the parameter tenant differs from the header X-Scope-OrgID")
    return {TENANT_HEADER: tenant} if tenant else socket.headers


def _flags(socket: HTTPConnection, parameters: Parameters) -> tuple[str, ...]:
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
    tailer = Tailer(
        query=asked.query,
        categorized=categorized,
        streams=asked.streams,
        delay_ns=asked.delay_s * NS_PER_S,
    )
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
        every_s=POLL_S,
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
    await _send(socket, asked, told.value, (), told.warnings)
    seen = SentBefore(told.value)
    while True:
        await asyncio.sleep(POLL_S)
        if (why := budget.cancelled_because) is not None:
            raise QueryCancelledError(why)
        drained = await asyncio.to_thread(tailer.drain, context.clock.now_ns())
        fresh = [stream for stream in drained.streams if not seen.take(stream)]
        if fresh or drained.dropped or drained.warnings:
            await _send(socket, asked, fresh, drained.dropped, drained.warnings)


class SentBefore:
    """Entries of the history, which may come again: what is pushed while it is read is in both.

    There they have all labels, and here those of their stream, so the fewer say which it is.
    """

    def __init__(self, streams: Sequence[LogStream]) -> None:
        self._labels: dict[tuple[int, bytes], list[frozenset[tuple[str, str]]]] = {}
        for stream in streams:
            for entry in stream.entries:
                known = self._labels.setdefault((entry.ts_ns, entry.line), [])
                known.append(frozenset(stream.labels))

    def take(self, stream: LogStream) -> bool:
        """Whether its one entry was sent; each of the history stands for one."""
        (entry,) = stream.entries
        key = entry.ts_ns, entry.line
        known = self._labels.get(key, [])
        same = [labels for labels in known if labels.issuperset(stream.labels)]
        if same:
            known.remove(min(same, key=len))
        return bool(same)


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
    asked: _Asked,
    streams: Sequence[LogStream],
    dropped: Sequence[tuple[int, LabelPairs]],
    warnings: Sequence[str] = (),
) -> None:
    categorized = CATEGORIZE in asked.flags
    for first in range(0, max(len(streams), 1), MAX_ENTRIES):
        part = streams[first : first + MAX_ENTRIES]
        if asked.is_old:
            if part or dropped:
                await socket.send_text(old_tail_message(part, dropped).decode())
        elif part or dropped or warnings:
            text = encode_tail(
                part, dropped, asked.flags, categorized=categorized, warnings=warnings
            )
            await socket.send_text(text.decode("utf-8", "replace"))
        dropped, warnings = (), ()


async def _close(socket: WebSocket, reason: str) -> None:
    """End with a reason that fits into a close frame."""
    if socket.application_state is WebSocketState.CONNECTED:
        await socket.close(FAILED, reason.encode()[:120].decode("utf-8", "ignore"))
