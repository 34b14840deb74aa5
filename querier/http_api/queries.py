"""`/narfi/api/v1/queries`: what runs now, for whom, at which cost, and how is it ended?

Of this process alone. A tenant sees its own requests; who has the scope `admin` and names no tenant
sees all. Somebody whose token has a policy sees what was asked with that token.
"""

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.audit import audit_request
from narfi.core.auth import TENANT_HEADER
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import Scope, grant_of
from querier.http_api.requests import QueryContext, json_response
from querier.running import Asked, Ended, OneRequest

PATH = "/narfi/api/v1/queries"

Sees = Callable[[Asked], bool]


class UnknownQueryError(AppError):
    """No such query runs here, or it is not this client's to see."""

    kind = ErrorKind.NOT_FOUND


def queries_router(context: QueryContext) -> APIRouter:
    """The endpoints."""
    router = APIRouter()

    @router.get(PATH)
    async def listed(request: Request) -> Response:
        sees, running = _sees(context, request), context.running
        body = {
            "queries": [_now(one) for one in running.now() if sees(one.asked)],
            "recent": [_ended(one) for one in running.recent() if sees(one.asked)],
        }
        return json_response(orjson.dumps(body, default=str))

    async def cancel(request: Request, query_id: str) -> Response:
        sees, who = _sees(context, request), grant_of(request.scope).name
        for one in context.running.now():
            if one.query_id == query_id and sees(one.asked):
                one.budget.cancel(f"query {query_id} was cancelled by {who}")
                audit_request(request.scope, "query cancelled", query=query_id, of=one.asked.who)
                return json_response(orjson.dumps({"cancelled": query_id}))
        raise UnknownQueryError(
            f"no query {query_id} runs in this process; GET {PATH} lists those that do"
        )

    router.add_api_route(f"{PATH}/{{query_id}}", cancel, methods=["DELETE"], response_model=None)
    router.add_api_route(
        f"{PATH}/{{query_id}}/cancel", cancel, methods=["POST"], response_model=None
    )
    return router


def _sees(context: QueryContext, request: Request) -> Sees:
    """Which requests the client may see; raises `ForbiddenError` for foreign tenants."""
    grant = grant_of(request.scope)
    if Scope.ADMIN in grant.scopes and not request.headers.get(TENANT_HEADER):
        return lambda _: True
    own = set(context.tenancy.tenants(request.headers, grant))

    def sees(asked: Asked) -> bool:
        return bool(own) and set(asked.tenants) <= own and (not grant.streams or mine(asked))

    def mine(asked: Asked) -> bool:
        return asked.who == grant.name

    return sees


def _about(asked: Asked) -> dict[str, Any]:
    return {
        "tenants": list(asked.tenants),
        "route": asked.route,
        "query": asked.text.encode("utf-8", "replace").decode(),
        "who": asked.who,
    }


def _now(one: OneRequest) -> dict[str, Any]:
    budget = one.budget
    return {
        "id": one.query_id,
        **_about(one.asked),
        "state": "waiting" if budget.is_waiting else "running",
        "began_ns": one.began_ns,
        "seconds": round(one.seconds, 3),
        "timeout_s": budget.timeout_s,
        "memory_bytes": budget.used,
        "read_bytes": budget.bytes_read,
    }


def _ended(one: Ended) -> dict[str, Any]:
    return {
        "id": one.query_id,
        **_about(one.asked),
        "began_ns": one.began_ns,
        "seconds": round(one.seconds, 3),
        "peak_bytes": one.peak_bytes,
        "read_bytes": one.read_bytes,
        "error": one.error,
    }
