"""`/narfi/api/v1/distribution`: how are the numbers of a field distributed?"""

from fastapi import APIRouter, Request, Response

from querier.explore.distribution import distribution_of
from querier.explore.question import Question
from querier.http_api.exploring import METHODS, PREFIX, explored, readable
from querier.http_api.params import ParameterError
from querier.http_api.requests import QueryContext


def distribution_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def distribution(request: Request) -> Response:
        asked = await explored(context, request)
        name = asked.parameters.get("field")
        if not name:
            raise ParameterError("field must name a field")

        def work(question: Question) -> dict[str, object]:
            found = distribution_of(question, name)
            return {
                "field": readable(name),
                "parser": found.parser,
                "rows": found.rows,
                "missing": found.missing,
                "unit": found.unit,
                **found.figures,
                "scale": "log" if found.is_log else "linear",
                "buckets": [
                    {"from": one.low, "to": one.high, "count": one.count} for one in found.buckets
                ],
            }

        return await asked.answer(work)

    router.add_api_route(
        f"{PREFIX}/distribution", distribution, methods=METHODS, response_model=None
    )
    return router
