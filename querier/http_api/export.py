"""`/narfi/api/v1/export`: all lines of a query as a file, however many."""

from datetime import UTC, datetime

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.clock import NS_PER_MS, NS_PER_S, within_time
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.grant import grant_of
from querier.budget import Budget
from querier.export.form import Encoded, Ending, Form
from querier.export.registry import form_of
from querier.http_api.exports import Export, Exports
from querier.http_api.params import Bounds, parse_count, parse_direction
from querier.http_api.query_log import Watched
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    json_response,
    of_tenant,
    parameters_from,
    parameters_of,
)
from querier.http_api.stepped import SteppedAnswer, in_steps
from querier.http_api.warnings import warnings_of
from querier.line_stream import LinesAsked, LineStream
from querier.query import Direction, QueryOptions

PATH = "/narfi/api/v1/export"
ID_HEADER = "X-Narfi-Export-Id"
BATCH_BYTES = 16 << 20
"""Lines that are read at once: of a block whose streams lie one behind the other, each batch reads
a part of all of them."""
BATCH_ROWS = 1 << 16
"""At least, while others are looked for."""
MOST_ROWS = 1 << 40
MOST_NAME = 60
"""Characters of a file's name that are of the query."""


def export_router(context: QueryContext) -> APIRouter:
    """The endpoints."""
    router, exports = APIRouter(), Exports()

    async def export(request: Request) -> Response:
        parameters = await parameters_of(request)
        asker = of_tenant(request, parameters.get("tenant"))
        tenants = context.tenants(asker)
        bounds = bounds_of(context, tenants, parameters)
        direction = Direction.FORWARD
        if parameters.get("direction"):
            direction = parse_direction(parameters)
        columns = [name for name in parameters.get("columns").split(",") if name]
        form = form_of(parameters.get("format") or "jsonl", columns)
        most_bytes = parse_count(parameters, "max_bytes")
        text = parameters.get("query")
        watched = Watched(query=text, start_ns=bounds.start_ns, end_ns=bounds.end_ns)
        export = exports.begin(tenants, grant_of(request.scope), parameters.get("id"))

        def make(budget: Budget) -> _Steps:
            options = QueryOptions(
                tenants=tenants,
                start_ns=bounds.start_ns,
                end_ns=bounds.end_ns,
                step_ns=NS_PER_MS,
                limits=context.limits(tenants),
                limit=MOST_ROWS,
                direction=direction,
                categorize_labels=True,
                budget=budget,
                rules=context.rules,
            )
            asked = LinesAsked(
                text=text,
                options=options,
                at_least=BATCH_ROWS,
                batch_bytes=BATCH_BYTES,
                limited=False,
            )
            stream = context.service.lines(asked, watched.notes)
            return _Steps(
                stream=stream, form=form, export=export, most_bytes=most_bytes, budget=budget
            )

        answer = SteppedAnswer(
            make=make,
            media_type=form.media_type,
            headers={
                "Content-Disposition": f'attachment; filename="{file_name(text, bounds, form)}"',
                ID_HEADER: export.export_id,
            },
            is_renewed=True,
        )
        return await in_steps(context, asker, answer, watched)

    @router.get(f"{PATH}/{{export_id}}")
    async def state(request: Request, export_id: str) -> Response:
        named = parameters_from(request.scope["query_string"]).get("tenant")
        tenants = context.tenants(of_tenant(request, named))
        found = exports.one(export_id, tenants, grant_of(request.scope))
        return json_response(orjson.dumps(found.shown()))

    router.add_api_route(PATH, export, methods=["GET", "POST"], response_model=None)
    return router


class TooLargeError(InvalidRequestError):
    """The export has more bytes than its client wants."""


class _Steps:
    """The pieces of one export."""

    def __init__(
        self,
        *,
        stream: LineStream,
        form: Form,
        export: Export,
        most_bytes: int | None,
        budget: Budget,
    ) -> None:
        self._stream, self._form, self._export = stream, form, export
        self._most, self._budget = most_bytes, budget
        self._begun = self._cut = False
        self._made: tuple[Encoded, int] | None = None  # entries that have not left
        self._held = 0  # bytes that are charged for the piece on its way

    def step(self) -> bytes | memoryview | None:
        """A batch of entries in the form."""
        if not self._begun:
            self._begun = True
            first = self._form.begin()
            self._export.bytes += len(first)
            if first:
                return first
        self._budget.release(self._held)
        self._held = 0
        if self._cut:
            raise TooLargeError(f"the export was cut at max_bytes ({self._most})")
        if self._made is None and (batch := self._stream.step()) is not None:
            self._made = self._fitting(self._form.batch(batch.rows), len(batch.rows))
        if self._made is None:
            return None
        (made, rows), size = self._made, len(self._made[0].data)
        self._budget.charge(size)  # where that is refused for now, the step is done again
        self._made, self._held = None, size
        self._export.rows += rows
        self._export.bytes += size
        return made.data

    def _fitting(self, made: Encoded, rows: int) -> tuple[Encoded, int]:
        """What the client wants of it."""
        left = None if self._most is None else self._most - self._export.bytes
        if left is None or len(made.data) <= left:
            return made, rows
        self._cut = True
        return made.up_to(max(left, 0))

    def progress(self) -> bytes:
        """A file has no place for it."""
        return b""

    def ended(self, error: AppError | None) -> bytes:
        """The end of the file; raises the error where the form cannot tell it."""
        export = self._export
        export.warnings = warnings_of(self._stream.warnings)
        trouble = "" if error is None else error.message
        last = self._form.end(Ending(rows=export.rows, warnings=export.warnings, trouble=trouble))
        export.state = "incomplete" if error is not None else "complete"
        export.reason = trouble or None
        if last is None:
            assert error is not None
            raise error
        export.bytes += len(last)
        return last

    def close(self) -> None:
        """Let go what is read; one that has not ended by now was not taken to its end."""
        if self._export.state == "running":
            self._export.state = "incomplete"
            self._export.reason = "the client went away, or the server stopped"
        self._stream.close()


def file_name(query: str, bounds: Bounds, form: Form) -> str:
    """Of letters, digits and dashes; what the query says is only hinted at."""
    kept = "".join(char if char.isascii() and char.isalnum() else " " for char in query)
    words = "-".join(kept.split())[:MOST_NAME].strip("-") or "logs"
    moment = datetime.fromtimestamp(within_time(bounds.start_ns) // NS_PER_S, UTC)
    return f"narfi-{words}-{moment:%Y%m%dT%H%M%SZ}.{form.extension}"
