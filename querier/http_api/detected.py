"""`detected_labels`, `detected_fields`, `detected_field/<name>/values` (http-api.md §4.8, §4.9)."""

import orjson
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from querier.budget import Budget
from querier.explore.detected import detected_labels, shown_values
from querier.explore.detected_fields import DetectedField
from querier.http_api.params import parse_count, parse_step
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_of,
)
from querier.query import QueryOptions
from querier.result import Told
from querier.service import EVERYTHING, TimeRange

METHODS = ["GET", "POST"]
DEFAULT_LINES = 100
DEFAULT_FIELDS = 1000
NS_PER_MS = 1_000_000


def detected_router(context: QueryContext) -> APIRouter:
    """The endpoints of detection."""
    router = APIRouter()
    service = context.service

    async def labels(request: Request) -> Response:
        tenants = context.tenants(request)
        parameters = await parameters_of(request)
        bounds = bounds_of(context, tenants, parameters)
        query = parameters.get("query")
        matchers = parse_selector(query).matchers if query and query != "{}" else EVERYTHING
        place = TimeRange(tenants, bounds.start_ns, bounds.end_ns + 1)
        told = await in_pool(
            context, request, lambda budget: service.series(place, [matchers], budget)
        )
        found = detected_labels(told.value)
        body = [{"label": f.label, "cardinality": f.cardinality} for f in found]
        answer = orjson.dumps({"detectedLabels": body} if body else {})
        return json_response(answer, told.warnings)

    async def search(request: Request, *, values: bool) -> tuple[Told[list[DetectedField]], int]:
        """The fields of a sample of lines, and the limit: of the fields, or of a field's values."""
        tenants = context.tenants(request)
        parameters = await parameters_of(request)
        bounds = bounds_of(context, tenants, parameters)
        lines = parse_count(parameters, "line_limit") or DEFAULT_LINES
        parse_step(parameters, bounds)  # refused where it is wrong, of no other meaning
        limit = parse_count(parameters, "limit", "field_limit") or DEFAULT_FIELDS
        text = parameters.get("query")

        def work(budget: Budget) -> Told[list[DetectedField]]:
            options = QueryOptions(
                tenants=tenants,
                start_ns=bounds.start_ns,
                end_ns=bounds.end_ns,
                step_ns=NS_PER_MS,
                limits=context.limits(tenants),
                limit=lines,
                budget=budget,
                rules=context.rules,
            )
            return service.detected_fields(text, options, None if values else limit)

        return await in_pool(context, request, work), limit

    async def fields(request: Request) -> Response:
        told, limit = await search(request, values=False)
        found = told.value
        body = {"fields": [_field(f) for f in found], "limit": limit} if found else {}
        return json_response(orjson.dumps(body), told.warnings)

    async def values(request: Request, name: str) -> Response:
        told, limit = await search(request, values=True)
        found = (f.values for f in told.value if f.label == name)
        texts = [readable(text) for values in found for text in shown_values(values, limit)]
        answer = orjson.dumps({"values": texts, "limit": limit} if texts else {})
        return json_response(answer, told.warnings)

    for path, handler in (
        ("detected_labels", labels),
        ("detected_fields", fields),
        ("detected_field/{name}/values", values),
    ):
        router.add_api_route(f"/loki/api/v1/{path}", handler, methods=METHODS, response_model=None)
    return router


def _field(found: DetectedField) -> dict[str, object]:
    body: dict[str, object] = {
        "label": found.label,
        "type": found.kind,
        "cardinality": len(found.values),
        "parsers": found.parsers or None,
    }
    if found.json_path:
        body["jsonPath"] = [readable(key) for key in found.json_path]
    return body


def readable(text: str) -> str:
    """The text with U+FFFD for what is not UTF-8 (kept by surrogateescape)."""
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
