"""`/narfi/api/v1/explain`: how was a query answered, as data, and what would make it cheaper?"""

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.grant import grant_of
from querier.budget import Budget
from querier.http_api.explain import explain_object
from querier.http_api.exploring import METHODS, PREFIX
from querier.http_api.query_log import Watched
from querier.http_api.ranged import ranged
from querier.http_api.requests import QueryContext, in_pool, json_response
from querier.http_api.warnings import warnings_of
from querier.plan.advice import RULE_TEXTS, STAGE_TEXTS, advice_of, funnel
from querier.result import Answer, Told


def explain_data_router(context: QueryContext) -> APIRouter:
    """The endpoint; it takes what `query_range` takes."""
    router = APIRouter()

    async def explain(request: Request) -> Response:
        grant_of(request.scope).check_sees_all("explain")
        whole = await ranged(context, request)
        text = whole.asked.query
        watched = Watched()

        def work(budget: Budget) -> Told[bytes]:
            options = whole.options(budget, explain=True)
            answer = context.service.query(text, options, watched.notes)
            return Told(orjson.dumps(_body(text, answer)), answer.warnings)

        told = await in_pool(context, request, work)
        return json_response(told.value, told.warnings)

    router.add_api_route(f"{PREFIX}/explain", explain, methods=METHODS, response_model=None)
    return router


def _body(text: str, answer: Answer) -> dict[str, object]:
    explanation, stats = answer.explanation, answer.stats
    assert explanation is not None
    return {
        "query": explanation.query,
        "ms": round(stats.exec_time_s * 1000, 3),
        "stages": [
            {
                "name": one.stage,
                "rows": one.rows,
                "bytes": one.bytes,
                "text": STAGE_TEXTS[one.stage],
            }
            for one in funnel(explanation.reads)
        ],
        "rules": [
            {"name": rule.value, "text": RULE_TEXTS[rule]}
            for rule in sorted({r for read in explanation.reads for r in read.stats.rules})
        ],
        "phases": [
            {"name": phase.value, "ms": round(seconds * 1000, 3)}
            for phase, seconds in stats.phases_s.items()
        ],
        "advice": advice_of(text, explanation.reads, stats),
        "reads": explain_object(answer, explanation)["reads"],
        "warnings": warnings_of(answer.warnings),
    }
