"""`/narfi/api/v1/fields` and `facets`: which fields have the lines, and which values have these?"""

from fastapi import APIRouter, Request, Response

from querier.explore.facets import Facet, FacetsAsked, facets_of
from querier.explore.fields import Field, fields_of
from querier.explore.question import Question
from querier.http_api.exploring import (
    METHODS,
    PREFIX,
    explored,
    names_of,
    number_of,
    readable,
)
from querier.http_api.params import ParameterError
from querier.http_api.requests import QueryContext

MOST_NAMES = 50
DEFAULT_VALUES, MOST_VALUES = 10, 1000


def fields_router(context: QueryContext) -> APIRouter:
    """Both endpoints."""
    router = APIRouter()

    async def fields(request: Request) -> Response:
        def work(question: Question) -> dict[str, object]:
            found, rows = fields_of(question)
            return {"fields": [_field(one, rows) for one in found], "rows": rows}

        return await (await explored(context, request)).answer(work)

    async def facets(request: Request) -> Response:
        asked = await explored(context, request)
        names = names_of(asked.parameters, "fields", MOST_NAMES)
        if not names:
            raise ParameterError("fields must name at least one field")
        wanted = FacetsAsked(
            names=tuple(names),
            limit=number_of(asked.parameters, "limit", DEFAULT_VALUES, MOST_VALUES),
            keep=frozenset(names_of(asked.parameters, "keep", MOST_NAMES)),
            in_lines=True,
        )

        def work(question: Question) -> dict[str, object]:
            found = facets_of(question, wanted)
            plain = [one.rows for one in found if one.name not in wanted.keep]
            rows = plain[0] if plain else None
            return {"facets": [_facet(one) for one in found], "rows": rows}

        return await asked.answer(work)

    for name, handler in (("fields", fields), ("facets", facets)):
        router.add_api_route(f"{PREFIX}/{name}", handler, methods=METHODS, response_model=None)
    return router


def _field(one: Field, rows: int) -> dict[str, object]:
    return {
        "name": readable(one.name),
        "type": one.type,
        "source": one.source,
        "parser": one.parser,
        "rows": one.rows,
        "share": round(one.rows / rows, 6) if rows else 0.0,
        "distinct": one.distinct,
        "exact": one.exact,
        "unit": one.unit,
    }


def _facet(one: Facet) -> dict[str, object]:
    return {
        "name": one.name,
        "parser": one.parser,
        "top": [{"value": readable(value), "count": count} for value, count in one.top],
        "distinct": one.distinct,
        "other": one.other,
        "missing": one.missing,
        "rows": one.rows,
        "exact": True,
        "error": 0,
    }
