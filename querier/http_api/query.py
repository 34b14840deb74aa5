"""`query` and `query_range` (reference/http-api.md §3)."""

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response

from narfi.core.errors import InvalidRequestError
from narfi.core.grant import grant_of
from querier.budget import Budget
from querier.http_api.encode import answer_parts
from querier.http_api.params import CATEGORIZE, encoding_flags, parse_instant
from querier.http_api.query_log import Watched
from querier.http_api.ranged import ranged
from querier.http_api.requests import QueryContext, parameters_of, pieces_in_pool
from querier.query import QueryOptions
from querier.result import Told

METHODS = ["GET", "POST"]


def query_router(context: QueryContext) -> APIRouter:
    """The endpoints that take LogQL."""
    router = APIRouter()

    async def query_range(request: Request) -> Response:
        whole = await ranged(context, request)
        asked = whole.asked
        _refuse_parquet(request)
        flags = encoding_flags(request.headers)
        watched = Watched(
            query=asked.query,
            start_ns=whole.start_ns,
            end_ns=asked.bounds.end_ns,
            step_ns=asked.step_ns,
        )

        def run(budget: Budget) -> Told[Iterator[bytes]]:
            options = whole.options(
                budget,
                categorize_labels=CATEGORIZE in flags,
                explain=_explained(request, asked.explain),
            )
            answer = context.service.query(asked.query, options, watched.notes)
            return Told(answer_parts(answer, flags, context.apply), answer.warnings)

        return await pieces_in_pool(context, request, run, watched)

    async def query(request: Request) -> Response:
        tenants = context.tenants(request)
        asked = parse_instant(await parameters_of(request), context.clock.now_ns())
        _refuse_parquet(request)
        watched = Watched(
            query=asked.query, start_ns=asked.time_ns, end_ns=asked.time_ns, instant=True
        )

        def run(budget: Budget) -> Told[Iterator[bytes]]:
            options = QueryOptions(
                tenants=tenants,
                start_ns=asked.time_ns,
                end_ns=asked.time_ns,
                step_ns=0,
                limits=context.limits(tenants),
                limit=asked.limit,
                direction=asked.direction,
                instant=True,
                budget=budget,
                rules=context.rules,
                explain=_explained(request, asked.explain),
            )
            answer = context.service.query(asked.query, options, watched.notes)
            return Told(answer_parts(answer), answer.warnings)

        return await pieces_in_pool(context, request, run, watched)

    router.add_api_route(
        "/loki/api/v1/query_range", query_range, methods=METHODS, response_model=None
    )
    router.add_api_route("/loki/api/v1/query", query, methods=METHODS, response_model=None)
    return router


def _refuse_parquet(request: Request) -> None:
    """Answers are JSON; a client that can only read Parquet is told so, as by Loki."""
    if request.headers.get("accept") == "application/vnd.apache.parquet":
        message = (
            "support for Parquet encoded responses is disabled. Enable with "
            "-frontend.support-parquet-encoding=true"
        )
        raise InvalidRequestError(message)


def _explained(request: Request, asked: bool) -> bool:
    """Whether to tell how the answer was found; raises `ForbiddenError`: it counts all streams."""
    if asked:
        grant_of(request.scope).check_sees_all("explain")
    return asked
