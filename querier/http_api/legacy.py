"""`/api/prom/*`: the names that old clients still use (reference/http-api.md §9)."""

from datetime import UTC, datetime

import orjson
from fastapi import APIRouter, Request, Response

from logql.ast import LogQuery
from logql.parser import parse
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import labels_text, quote
from querier.budget import Budget
from querier.http_api.encode import stats_object
from querier.http_api.metadata import metadata_handlers
from querier.http_api.params import parse_range
from querier.http_api.requests import QueryContext, in_pool, json_response, parameters_of
from querier.query import QueryOptions
from querier.reading.admission import within_lookback
from querier.result import StreamsResult, Told

METHODS = ["GET", "POST"]
ONLY_STREAMS = (
    "rpc error: code = Code(400) desc = legacy endpoints only support streams result type"
)


def legacy_router(context: QueryContext) -> APIRouter:
    """The read endpoints under `/api/prom`."""
    router = APIRouter()

    async def query(request: Request) -> Response:
        tenants = context.tenants(request)
        parameters = await parameters_of(request)
        now_ns, limits = context.clock.now_ns(), context.limits(tenants)
        asked = parse_range(parameters, now_ns)
        start_ns = within_lookback(asked.bounds.start_ns, limits, now_ns)
        text = asked.query
        if parameters.get("regexp"):
            text += f" |~ {quote(parameters.get('regexp'))}"
        if not isinstance(parse(text), LogQuery):
            raise InvalidRequestError(ONLY_STREAMS)

        def work(budget: Budget) -> Told[bytes]:
            options = QueryOptions(
                tenants=tenants,
                start_ns=start_ns,
                end_ns=max(asked.bounds.end_ns, start_ns),
                step_ns=asked.step_ns,
                limits=limits,
                limit=asked.limit,
                direction=asked.direction,
                interval_ns=asked.interval_ns,
                budget=budget,
                rules=context.rules,
            )
            answer = context.service.query(text, options)
            assert isinstance(answer.result, StreamsResult)
            streams = [
                {
                    "labels": labels_text(stream.labels),
                    "entries": [
                        {"ts": rfc3339(e.ts_ns), "line": e.line.decode("utf-8", "replace")}
                        for e in stream.entries
                    ],
                }
                for stream in answer.result.streams
            ]
            body = orjson.dumps({"streams": streams, "stats": stats_object(answer.stats)})
            return Told(body, answer.warnings)

        told = await in_pool(context, request, work)
        return json_response(told.value, told.warnings)

    handlers = metadata_handlers(context)
    routes = {
        "query": query,
        "label": handlers["label"],
        "label/{name}/values": handlers["label/{name}/values"],
        "series": handlers["series"],
    }
    for path, handler in routes.items():
        router.add_api_route(f"/api/prom/{path}", handler, methods=METHODS, response_model=None)
    return router


def rfc3339(ts_ns: int) -> str:
    """A time as Go prints it: nanoseconds without trailing zeros, `Z`."""
    seconds, rest = divmod(ts_ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"
