"""`/narfi/api/v1/lines`: entries of a log query as they are found, and a cursor for the rest."""

from collections.abc import Callable

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.clock import NS_PER_MS
from narfi.core.errors import AppError, ErrorKind
from querier.budget import Budget
from querier.http_api.line_objects import LineObjects
from querier.http_api.params import parse_count, parse_direction
from querier.http_api.query_log import Watched
from querier.http_api.requests import QueryContext, bounds_of, parameters_of
from querier.http_api.stepped import SteppedAnswer, in_steps
from querier.http_api.warnings import warnings_of
from querier.line_stream import LinesAsked, LineStream
from querier.logs.cursor import parse_cursor
from querier.query import QueryOptions

PATH = "/narfi/api/v1/lines"
NDJSON_TYPE = "application/x-ndjson"
DEFAULT_LIMIT = 1000
DEFAULT_LINE_BYTES = 2000
FIRST_ROWS = 100
"""Of a batch at least, while others are looked for."""
BATCH_BYTES = 1 << 20

StatusOf = Callable[[ErrorKind], int]


def lines_router(context: QueryContext, status_of: StatusOf) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def lines(request: Request) -> Response:
        tenants = context.tenants(request)
        parameters = await parameters_of(request)
        bounds = bounds_of(context, tenants, parameters)
        limit = parse_count(parameters, "limit") or DEFAULT_LIMIT
        direction = parse_direction(parameters)
        cursor = parse_cursor(parameters.get("cursor"), direction)
        most_bytes = parse_count(parameters, "max_line_bytes", zero=True)
        shows_parsed = parameters.get("parsed") in ("1", "true")
        text = parameters.get("query")
        watched = Watched(query=text, start_ns=bounds.start_ns, end_ns=bounds.end_ns)

        def make(budget: Budget) -> _Steps:
            options = QueryOptions(
                tenants=tenants,
                start_ns=bounds.start_ns,
                end_ns=bounds.end_ns,
                step_ns=NS_PER_MS,
                limits=context.limits(tenants),
                limit=limit,
                direction=direction,
                categorize_labels=True,
                budget=budget,
                rules=context.rules,
            )
            asked = LinesAsked(
                text=text,
                options=options,
                cursor=cursor,
                at_least=FIRST_ROWS,
                batch_bytes=BATCH_BYTES,
                numbered=True,
            )
            objects = LineObjects(
                DEFAULT_LINE_BYTES if most_bytes is None else most_bytes,
                shows_parsed=shows_parsed,
            )
            return _Steps(
                stream=context.service.lines(asked, watched.notes),
                objects=objects,
                watched=watched,
                budget=budget,
                status_of=status_of,
            )

        answer = SteppedAnswer(make=make, media_type=NDJSON_TYPE, headers={})
        return await in_steps(context, request, answer, watched)

    router.add_api_route(PATH, lines, methods=["GET", "POST"], response_model=None)
    return router


class _Steps:
    """The pieces of one answer."""

    def __init__(
        self,
        *,
        stream: LineStream,
        objects: LineObjects,
        watched: Watched,
        budget: Budget,
        status_of: StatusOf,
    ) -> None:
        self._stream, self._objects = stream, objects
        self._watched, self._budget, self._status_of = watched, budget, status_of

    def step(self) -> bytes | None:
        """A batch of entries."""
        batch = self._stream.step()
        return None if batch is None else self._objects.of(batch.rows, batch.orders)

    def progress(self) -> bytes:
        """What was read so far."""
        return _line({"progress": self._progress()})

    def ended(self, error: AppError | None) -> bytes:
        """Warnings, then how it ended."""
        stream = self._stream
        parts = [_line({"warning": one}) for one in warnings_of(stream.warnings)]
        parts.append(_line({"progress": self._progress()}))
        if error is not None:
            status, text = self._status_of(error.kind), error.message
            parts.append(_line({"error": {"status": status, "text": text}}))
            return b"".join(parts)
        cursor = stream.cursor.text() if stream.cursor and not stream.is_whole else None
        end = {
            "cursor": cursor,
            "complete": stream.is_whole,
            "rows": stream.given,
            "stats": self._stats(),
        }
        parts.append(_line({"end": end}))
        return b"".join(parts)

    def close(self) -> None:
        """Let go what is read."""
        self._stream.close()

    def _progress(self) -> dict[str, int]:
        stats, covered = self._stream.stats, self._stream.covered
        return {
            "read_rows": stats.lines_scanned,
            "read_bytes": stats.bytes_scanned,
            "of_rows": covered.rows,
            "of_bytes": covered.bytes,
            "ms": self._watched.ms(),
        }

    def _stats(self) -> dict[str, int]:
        stats = self._stream.stats
        return {
            "blocks": stats.blocks,
            "streams": stats.streams,
            "lines_scanned": stats.lines_scanned,
            "lines_passed": stats.lines_after_filter,
            "bytes_scanned": stats.bytes_scanned,
            "memory_bytes": self._budget.peak,
            "ms": self._watched.ms(),
        }


def _line(value: object) -> bytes:
    return orjson.dumps(value) + b"\n"
