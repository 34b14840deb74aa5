"""`/narfi/api/v1/histogram`: how many lines when, of each value of a field?"""

from fastapi import APIRouter, Request, Response

from querier.explore.histogram import histogram_of
from querier.explore.question import Question
from querier.http_api.exploring import METHODS, PREFIX, explored, number_of, one_of, readable
from querier.http_api.requests import QueryContext

DEFAULT_BUCKETS, MOST_BUCKETS = 120, 2000


def histogram_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def histogram(request: Request) -> Response:
        asked = await explored(context, request)
        count = number_of(asked.parameters, "buckets", DEFAULT_BUCKETS, MOST_BUCKETS)
        by = asked.parameters.get("by") or None
        by_status = one_of(asked.parameters, "level_from", ("status",)) != ""

        def work(question: Question) -> dict[str, object]:
            found = histogram_of(question, count, by, by_status=by_status)
            start_ns, end_ns = question.time_range
            return {
                "start": str(start_ns),
                "end": str(end_ns),
                "step": str(found.buckets.step_ns),
                "series": [
                    {"value": readable(value), "counts": counts.tolist()}
                    for value, counts in found.series
                ],
                "total": found.total,
                "exact": True,
            }

        return await asked.answer(work)

    router.add_api_route(f"{PREFIX}/histogram", histogram, methods=METHODS, response_model=None)
    return router
