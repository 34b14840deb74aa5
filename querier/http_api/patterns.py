"""`patterns` (reference/http-api.md §4.7)."""

import orjson
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from narfi.core.clock import NS_PER_S
from querier.budget import Budget
from querier.http_api.params import parse_step
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_of,
)
from querier.result import Told
from querier.service import TimeRange

MIN_STEP_NS = 10 * NS_PER_S


def patterns_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def patterns(request: Request) -> Response:
        tenants = context.tenants(request)
        parameters = await parameters_of(request)
        bounds = bounds_of(context, tenants, parameters)
        matchers = parse_selector(parameters.get("query")).matchers
        step_ns = max(parse_step(parameters, bounds), MIN_STEP_NS)
        place = TimeRange(tenants, bounds.start_ns, bounds.end_ns)

        def work(budget: Budget) -> Told[bytes]:
            found = context.service.patterns(place, matchers, step_ns, budget, context.rules)
            first_s = (bounds.start_ns - bounds.start_ns % step_ns) // NS_PER_S
            data = [
                {
                    "pattern": pattern.text,
                    "level": pattern.level,
                    "samples": [
                        [first_s + k * (step_ns // NS_PER_S), count]
                        for k, count in enumerate(pattern.counts.tolist())
                        if count
                    ],
                }
                for pattern in found.value
            ]
            return Told(orjson.dumps({"status": "success", "data": data}), found.warnings)

        told = await in_pool(context, request, work)
        return json_response(told.value, told.warnings)

    router.add_api_route(
        "/loki/api/v1/patterns", patterns, methods=["GET", "POST"], response_model=None
    )
    return router
