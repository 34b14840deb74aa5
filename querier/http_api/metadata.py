"""`labels`, `label/<name>/values`, `series`, `index/stats`, `format_query` (http-api.md §4)."""

from collections.abc import Awaitable, Callable, Iterator

import orjson
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector, parse_to_format
from logql.pretty import pretty
from narfi.core.clock import NS_PER_MS
from narfi.core.errors import AppError
from querier.budget import Budget
from querier.http_api.encode import encode_list, series_parts
from querier.http_api.params import Parameters
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_of,
    pieces_in_pool,
)
from querier.result import Told
from querier.service import TimeRange, series_selectors

METHODS = ["GET", "POST"]


Handler = Callable[..., Awaitable[Response]]


def metadata_handlers(context: QueryContext) -> dict[str, Handler]:
    """What answers the endpoints that tell what is there, by path."""
    service = context.service

    def where(request: Request, parameters: Parameters) -> TimeRange:
        tenants = context.tenants(request)
        bounds = bounds_of(context, tenants, parameters)
        # to the end of the last millisecond: Grafana asks for a window without width
        end_ns = bounds.end_ns - bounds.end_ns % NS_PER_MS + NS_PER_MS
        return TimeRange(tenants, bounds.start_ns, end_ns)

    async def labels(request: Request) -> Response:
        parameters = await parameters_of(request)
        place, query = where(request, parameters), parameters.get("query")
        names = await in_pool(
            context, request, lambda budget: service.label_names(place, query, budget)
        )
        return json_response(encode_list(names.value), names.warnings)

    async def values(request: Request, name: str) -> Response:
        parameters = await parameters_of(request)
        place, query = where(request, parameters), parameters.get("query")
        found = await in_pool(
            context, request, lambda budget: service.label_values(place, name, query, budget)
        )
        return json_response(encode_list(found.value), found.warnings)

    async def series(request: Request) -> Response:
        parameters = await parameters_of(request)
        place = where(request, parameters)
        selectors = series_selectors(parameters.all("match", "match[]"))

        def work(budget: Budget) -> Told[Iterator[bytes]]:
            found = service.series(place, selectors, budget)
            return Told(series_parts(found.value), found.warnings)

        return await pieces_in_pool(context, request, work)

    async def stats(request: Request) -> Response:
        parameters = await parameters_of(request)
        place = where(request, parameters)
        matchers = parse_selector(parameters.get("query")).matchers
        told = await in_pool(
            context,
            request,
            lambda budget: service.index_stats(place, matchers, budget),
        )
        found = told.value
        body = {
            "streams": found.streams,
            "chunks": found.chunks,
            "bytes": found.bytes,
            "entries": found.entries,
        }
        return json_response(orjson.dumps(body), told.warnings)

    return {
        "labels": labels,
        "label": labels,
        "label/{name}/values": values,
        "series": series,
        "index/stats": stats,
        "format_query": _format_query,
    }


def metadata_router(context: QueryContext) -> APIRouter:
    """The endpoints under `/loki/api/v1`."""
    router = APIRouter()
    for path, handler in metadata_handlers(context).items():
        router.add_api_route(f"/loki/api/v1/{path}", handler, methods=METHODS, response_model=None)
    return router


async def _format_query(request: Request) -> Response:
    parameters = await parameters_of(request)
    try:
        body = {"status": "success", "data": pretty(parse_to_format(parameters.get("query")))}
        status = 200
    except AppError as error:
        body, status = {"status": "invalid-query", "error": error.message}, 400
    return Response(
        orjson.dumps(body) + b"\n", status, media_type="application/json; charset=utf-8"
    )
