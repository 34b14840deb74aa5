"""`/narfi/api/v1/saved`: searches that people keep for each other, of one tenant.

Whoever may read may save and remove; who may not see all streams changes only what is its own.
"""

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.audit import audit_request
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ForbiddenError, Grant, grant_of
from narfi.core.tenant import TenantId
from querier.http_api.requests import QueryContext, in_pool, json_response
from storage.catalog.saved import SavedSearch, SavedSearches

PATH = "/narfi/api/v1/saved"
MOST_SEARCHES = 1000
"""Of a tenant."""
MOST_BYTES = 16 * 1024
"""Of one of them."""
MOST_NAME = 200
"""Characters of a name."""
TEXTS = ("query", "from", "to", "view")
"""Keys of a search whose values are text; `columns` are a list of texts."""


class SavedSearchNotFoundError(AppError):
    """The tenant has none of that name."""

    kind = ErrorKind.NOT_FOUND


class TooManySavedError(AppError):
    """The tenant has as many as it may (429)."""

    kind = ErrorKind.RATE_LIMITED


def saved_router(context: QueryContext, saved: SavedSearches) -> APIRouter:
    """The endpoints."""
    router, clock = APIRouter(), context.clock

    def asker(request: Request) -> tuple[TenantId, Grant]:
        grant = grant_of(request.scope)
        return context.tenancy.tenant(request.headers, grant), grant

    @router.get(PATH)
    async def listed(request: Request) -> Response:
        tenant, _ = asker(request)
        found = await in_pool(context, request, lambda _: saved.of(tenant))
        return json_response(orjson.dumps({"saved": [_shown(one) for one in found]}))

    @router.put(f"{PATH}/{{name}}")
    async def put(request: Request, name: str) -> Response:
        tenant, grant = asker(request)
        search = _search(tenant, name, await request.body(), grant, clock)

        def work(_: object) -> bool:
            _check_own(saved, tenant, name, grant)
            return saved.put(search, MOST_SEARCHES)

        if not await in_pool(context, request, work):
            raise TooManySavedError(
                f"tenant {tenant} has {MOST_SEARCHES} saved searches, which is the limit: remove "
                "some"
            )
        audit_request(request.scope, "search saved", search=name)
        return Response(status_code=204)

    @router.delete(f"{PATH}/{{name}}")
    async def remove(request: Request, name: str) -> Response:
        tenant, grant = asker(request)

        def work(_: object) -> bool:
            _check_own(saved, tenant, name, grant)
            return saved.remove(tenant, name)

        if not await in_pool(context, request, work):
            raise SavedSearchNotFoundError(f"there is no saved search {name!r}")
        audit_request(request.scope, "saved search removed", search=name)
        return Response(status_code=204)

    return router


def _check_own(saved: SavedSearches, tenant: TenantId, name: str, grant: Grant) -> None:
    """Raise `ForbiddenError` where somebody who may not see all would change another's."""
    if grant.streams and any(
        one.name == name and one.updated_by != grant.name for one in saved.of(tenant)
    ):
        raise ForbiddenError(
            f"the saved search {name!r} is another's, and the token {grant.name!r} has a policy"
        )


def _search(tenant: TenantId, name: str, body: bytes, grant: Grant, clock: Clock) -> SavedSearch:
    if len(body) > MOST_BYTES:
        raise InvalidRequestError(f"a saved search has at most {MOST_BYTES} bytes")
    if not name.strip() or len(name) > MOST_NAME or not name.isprintable():
        raise InvalidRequestError(
            f"the name of a saved search is 1 to {MOST_NAME} printable characters"
        )
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestError(f"the search is no JSON: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("query"), str):
        raise InvalidRequestError('a search is an object with a text "query"')
    if unknown := sorted(given.keys() - {*TEXTS, "columns"}):
        raise InvalidRequestError(f"a search has no {unknown[0]!r}")
    columns = given.get("columns", [])
    texts = [given.get(key, "") for key in TEXTS]
    if not isinstance(columns, list) or not all(isinstance(t, str) for t in (*texts, *columns)):
        raise InvalidRequestError("keys of a search are texts, and columns a list of texts")
    kept = dict(zip(TEXTS, texts, strict=True)) | {"columns": columns}
    return SavedSearch(
        tenant=tenant,
        name=name,
        body=orjson.dumps(kept).decode(),
        updated_ns=clock.now_ns(),
        updated_by=grant.name,
    )


def _shown(search: SavedSearch) -> dict[str, object]:
    about = {"updated": str(search.updated_ns), "by": search.updated_by or None}
    return {"name": search.name, **orjson.loads(search.body), **about}
