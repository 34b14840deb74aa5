"""`/narfi/api/v1/deletes/…`: what would a delete request remove, and what did one remove?"""

from dataclasses import replace

import orjson
from fastapi import APIRouter, Request, Response

from logql.format import format_query
from narfi.core.errors import InvalidRequestError
from narfi.core.grant import grant_of
from querier.budget import Budget
from querier.explore.row_counts import row_count
from querier.http_api.line_objects import entry_objects
from querier.http_api.lines import DEFAULT_LINE_BYTES
from querier.http_api.params import parse_bounds
from querier.http_api.requests import QueryContext, in_pool, json_response, parameters_from
from querier.http_api.warnings import warnings_of
from querier.line_stream import LinesAsked
from querier.query import Direction, QueryOptions
from querier.reading.deletes import DeleteRequests, check_query
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteRequest

PATH = "/narfi/api/v1/deletes"
SAMPLED = 5
"""Entries that are shown of what a request would remove: the newest."""


def delete_preview_router(context: QueryContext, deletes: DeleteRequests) -> APIRouter:
    """The endpoints."""
    router = APIRouter()

    @router.get(f"{PATH}/preview")
    async def preview(request: Request) -> Response:
        tenant = context.tenancy.tenant(request.headers, grant_of(request.scope))
        parameters = parameters_from(request.scope["query_string"])
        text = format_query(check_query(parameters.get("query")))
        if not parameters.get("start"):
            raise InvalidRequestError("start time not set")
        bounds = parse_bounds(parameters, context.clock.now_ns())

        def work(budget: Budget) -> bytes:
            options = QueryOptions(
                tenants=(tenant,),
                start_ns=bounds.start_ns,
                end_ns=bounds.end_ns + 1,  # requests have both ends within
                step_ns=1,
                limits=context.service.limits_of(tenant),
                categorize_labels=True,
                budget=budget,
                rules=context.rules,
            )
            told = context.service.explore(text, options, row_count)
            newest = _ends(context, text, options, Direction.BACKWARD, SAMPLED)
            oldest = _ends(context, text, options, Direction.FORWARD, 1)
            body = {
                "rows": told.value.rows,
                "bytes": told.value.bytes,
                "oldest": oldest[0] if oldest else None,
                "newest": newest[0] if newest else None,
                "sample": newest,
                "warnings": warnings_of(told.warnings),
            }
            return orjson.dumps(body)

        return json_response(await in_pool(context, request, work))

    @router.get(f"{PATH}/{{request_id}}/receipt")
    async def receipt(request: Request, request_id: str) -> Response:
        grant = grant_of(request.scope)
        tenant = context.tenancy.tenant(request.headers, grant)
        found = await in_pool(
            context,
            request,
            lambda _: deletes.request(tenant, request_id, permitted=grant.streams),
        )
        return json_response(orjson.dumps(_receipt(found)))

    return router


def _ends(
    context: QueryContext, text: str, options: QueryOptions, direction: Direction, count: int
) -> list[dict[str, object]]:
    """The newest or oldest entries."""
    wanted = replace(options, direction=direction, limit=count)
    stream = context.service.lines(LinesAsked(text=text, options=wanted, numbered=True))
    found: list[dict[str, object]] = []
    while (batch := stream.step()) is not None:
        found += entry_objects(batch, DEFAULT_LINE_BYTES)
    return found


def _receipt(found: DeleteRequest) -> dict[str, object]:
    states = {RECEIVED: "received", PROCESSED: "processed"}
    return {
        "id": found.request_id,
        "query": found.query,
        "start": str(found.start_ns),
        "end": str(found.end_ns),
        "requested_by": found.requested_by or None,
        "requested_at": str(found.created_ns),
        "state": states.get(found.status, "running"),
        "progress": found.status,
        "rows": found.deleted_rows,
        "bytes": found.deleted_bytes,
        "finished_at": None if found.finished_ns is None else str(found.finished_ns),
    }
