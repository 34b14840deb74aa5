"""`/narfi/api/v1/context`: the entries around an entry, exact at equal times."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from narfi.core.clock import MAX_TIME_NS, MIN_TIME_NS, NS_PER_MS
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import Labels
from narfi.core.matchers import MatchOp
from querier.budget import Budget
from querier.http_api.line_objects import entry_objects
from querier.http_api.lines import DEFAULT_LINE_BYTES
from querier.http_api.params import Parameters, parse_count, parse_time
from querier.http_api.requests import QueryContext, in_pool, json_response, parameters_of
from querier.http_api.warnings import warnings_of
from querier.logs.cursor import Cursor, parse_cursor
from querier.query import Direction, QueryOptions
from querier.reading.admission import within_lookback
from querier.surroundings import Place, Side, Surroundings

PATH = "/narfi/api/v1/context"
DEFAULT_ENTRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A checked request: an entry and both sides, or one side behind a cursor."""

    stream: Labels
    shared: tuple[str, ...] | None
    place: Place | None
    before: tuple[Cursor, int] | None
    after: tuple[Cursor, int] | None
    most_bytes: int


def context_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def around(request: Request) -> Response:
        tenants = context.tenants(request)
        if len(tenants) > 1:
            raise InvalidRequestError("multiple org IDs present")
        asked = _parse(await parameters_of(request))
        limits = context.limits(tenants)

        def work(budget: Budget) -> bytes:
            options = QueryOptions(
                tenants=tenants,
                start_ns=within_lookback(MIN_TIME_NS, limits, context.clock.now_ns()),
                end_ns=MAX_TIME_NS,
                step_ns=NS_PER_MS,
                limits=limits,
                categorize_labels=True,
                budget=budget,
                rules=context.rules,
            )
            return _found(context.service.around(options, asked.stream, asked.shared), asked)

        return json_response(await in_pool(context, request, work))

    router.add_api_route(PATH, around, methods=["GET", "POST"], response_model=None)
    return router


def _found(around: Surroundings, asked: _Asked) -> bytes:
    own = around.own(asked.place) if asked.place else None
    sides = [None if side is None else around.side(*side) for side in (asked.before, asked.after)]
    before, after = ([] if side is None else _entries(side, asked) for side in sides)
    cursors = [None if side is None or side.cursor is None else side.cursor for side in sides]
    return orjson.dumps(
        {
            "before": before[::-1],
            "own": None if own is None else entry_objects(own, asked.most_bytes)[0],
            "after": after,
            "cursor_before": cursors[0].text() if cursors[0] else None,
            "cursor_after": cursors[1].text() if cursors[1] else None,
            "warnings": warnings_of(tuple(around.warnings)),
        }
    )


def _entries(side: Side, asked: _Asked) -> list[dict[str, object]]:
    return [one for batch in side.batches for one in entry_objects(batch, asked.most_bytes)]


def _parse(parameters: Parameters) -> _Asked:
    stream = _labels(parameters.get("stream"))
    names = parameters.get("labels")
    shared = tuple(name for name in names.split(",") if name) if names else None
    before, after = (parse_count(parameters, name, zero=True) for name in ("before", "after"))
    most_bytes = parse_count(parameters, "max_line_bytes", zero=True)
    place, sides = None, _sides(parameters, before, after)
    if not parameters.get("cursor"):
        place = _place(parameters, stream)
        counts = [DEFAULT_ENTRIES if n is None else n for n in (before, after)]
        ways = (Direction.BACKWARD, Direction.FORWARD)
        sides = [(place.cursor(way), n) for way, n in zip(ways, counts, strict=True)]
    return _Asked(
        stream=stream,
        shared=shared,
        place=place,
        before=sides[0],
        after=sides[1],
        most_bytes=DEFAULT_LINE_BYTES if most_bytes is None else most_bytes,
    )


def _sides(
    parameters: Parameters, before: int | None, after: int | None
) -> Sequence[tuple[Cursor, int] | None]:
    """What is asked for behind a cursor: one side."""
    text = parameters.get("cursor")
    if not text:
        return (None, None)
    if (before is None) == (after is None):
        raise InvalidRequestError("with a cursor, before or after says how many entries are wanted")
    way = Direction.BACKWARD if before is not None else Direction.FORWARD
    cursor = parse_cursor(text, way)
    assert cursor is not None
    return ((cursor, before), None) if before is not None else (None, (cursor, after or 0))


def _place(parameters: Parameters, stream: Labels) -> Place:
    if not parameters.get("ts"):
        raise InvalidRequestError("ts not set: the time of the entry in ns")
    order = parse_count(parameters, "offset", zero=True)
    return Place(stream=stream, ts_ns=parse_time(parameters.get("ts"), 0), order=order or 0)


def _labels(text: str) -> Labels:
    if not text:
        raise InvalidRequestError('stream not set: all labels of the entry, as {app="api"}')
    matchers = parse_selector(text).matchers
    if any(matcher.op is not MatchOp.EQ for matcher in matchers):
        raise InvalidRequestError("stream must name each label with its value")
    return Labels.of((matcher.name, matcher.value) for matcher in matchers)
