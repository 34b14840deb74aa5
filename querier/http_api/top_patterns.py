"""`/narfi/api/v1/patterns`: which patterns have the lines, when, and is that new?"""

import numpy as np
from fastapi import APIRouter, Request, Response

from querier.explore.histogram import Buckets
from querier.explore.question import Question
from querier.explore.top_patterns import TopPattern, top_patterns
from querier.http_api.exploring import METHODS, PREFIX, explored, number_of, one_of, readable
from querier.http_api.requests import QueryContext

DEFAULT_PATTERNS, MOST_PATTERNS = 30, 300
DEFAULT_BUCKETS, MOST_BUCKETS = 40, 500
EXAMPLE_BYTES = 2000


def top_patterns_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    async def patterns(request: Request) -> Response:
        asked = await explored(context, request)
        limit = number_of(asked.parameters, "limit", DEFAULT_PATTERNS, MOST_PATTERNS)
        count = number_of(asked.parameters, "sample_buckets", DEFAULT_BUCKETS, MOST_BUCKETS)
        compare = one_of(asked.parameters, "compare", ("previous",)) != ""

        def work(question: Question) -> dict[str, object]:
            found = top_patterns(question, limit, count, compare=compare)
            return {
                "patterns": [_pattern(one, found.buckets, found.rows) for one in found.patterns],
                "rows": found.rows,
                "exact": found.exact,
                "step": str(found.buckets.step_ns),
            }

        return await asked.answer(work)

    router.add_api_route(f"{PREFIX}/patterns", patterns, methods=METHODS, response_model=None)
    return router


def _pattern(one: TopPattern, buckets: Buckets, rows: int) -> dict[str, object]:
    there = np.flatnonzero(one.counts)
    first = last = None
    if len(there):
        first = str(buckets.start_ns + int(there[0]) * buckets.step_ns)
        end_ns = buckets.start_ns + (int(there[-1]) + 1) * buckets.step_ns
        last = str(min(end_ns, buckets.end_ns))
    return {
        "pattern": readable(one.text),
        "count": one.hits,
        "share": round(one.hits / rows, 6) if rows else 0.0,
        "first": first,
        "last": last,
        "samples": one.counts.tolist(),
        "example": one.example[:EXAMPLE_BYTES].decode("utf-8", "replace"),
        "level": readable(one.level),
        "filter": one.filter,
        "before": one.before,
        "change": one.change,
        "factor": round(one.hits / one.before, 3) if one.before else None,
    }
