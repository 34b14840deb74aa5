"""`/api/prom/*`: the names that old clients still use (reference/http-api.md §9)."""

from collections.abc import Sequence
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
from querier.http_api.ranged import ranged
from querier.http_api.requests import QueryContext, in_pool, json_response
from querier.result import LabelPairs, LogStream, StreamsResult, Told

METHODS = ["GET", "POST"]
ONLY_STREAMS = (
    "rpc error: code = Code(400) desc = legacy endpoints only support streams result type"
)


def legacy_router(context: QueryContext) -> APIRouter:
    """The read endpoints under `/api/prom`."""
    router = APIRouter()

    async def query(request: Request) -> Response:
        whole = await ranged(context, request)
        parameters, text = whole.parameters, whole.asked.query
        if pattern := parameters.get("regexp"):
            text += f" |~ {quote(pattern)}"
        if not isinstance(parse(text), LogQuery):
            raise InvalidRequestError(ONLY_STREAMS)

        def work(budget: Budget) -> Told[bytes]:
            answer = context.service.query(text, whole.options(budget))
            assert isinstance(answer.result, StreamsResult)
            streams = _streams(answer.result.streams)
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


def _streams(streams: Sequence[LogStream]) -> list[dict[str, object]]:
    return [
        {
            "labels": labels_text(stream.labels),
            "entries": [
                {"ts": rfc3339(e.ts_ns), "line": e.line.decode("utf-8", "replace")}
                for e in stream.entries
            ],
        }
        for stream in streams
    ]


def old_tail_message(
    streams: Sequence[LogStream], dropped: Sequence[tuple[int, LabelPairs]]
) -> bytes:
    """One message of `/api/prom/tail`; of what was dropped time and labels."""
    lost = [{"Timestamp": rfc3339(ts), "Labels": labels_text(labels)} for ts, labels in dropped]
    return orjson.dumps({"streams": _streams(streams), "dropped_entries": lost or None})


def rfc3339(ts_ns: int) -> str:
    """A time as Go prints it: nanoseconds without trailing zeros, `Z`."""
    seconds, rest = divmod(ts_ns, 10**9)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"
