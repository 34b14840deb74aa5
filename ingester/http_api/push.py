"""How does a push arrive over HTTP? A raw body and two headers, answered 204 or Loki's text."""

import asyncio
from concurrent.futures import Executor

from fastapi import APIRouter, Request, Response

from ingester.admit import Room
from ingester.backfill import HEADER as BACKFILL_HEADER
from ingester.flush import Flusher
from ingester.service import PushRequest, PushService
from narfi.core.auth import Tenancy
from narfi.core.grant import grant_of
from narfi.core.in_flight import charge_of

PATHS = ("/loki/api/v1/push", "/api/prom/push")


def push_router(
    service: PushService, pool: Executor, tenancy: Tenancy, most_decompressed: int
) -> APIRouter:
    """`POST /loki/api/v1/push` and the legacy `/api/prom/push`."""
    router = APIRouter()

    async def push(request: Request) -> Response:
        tenant = tenancy.tenant(request.headers, grant_of(request.scope))
        await service.wait_for_room(tenant)
        body = await request.body()
        pushed = PushRequest(
            body=body,
            content_type=request.headers.get("content-type", ""),
            content_encoding=request.headers.get("content-encoding", ""),
            legacy="/loki/api/v1" not in request.url.path.lower(),
            backfill=request.headers.get(BACKFILL_HEADER, ""),
            room=Room(most_decompressed, charge_of(request.scope)),
        )
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(pool, service.push, tenant, pushed)
        return Response(status_code=204)

    for path in PATHS:
        router.add_route(path, push, methods=["POST"])
    return router


def admin_router(flusher: Flusher) -> APIRouter:
    """`POST /flush`: returns when everything acknowledged so far is in visible blocks."""
    router = APIRouter()

    @router.post("/flush")
    async def flush() -> Response:
        await asyncio.to_thread(flusher.flush_all)
        return Response(status_code=204)

    return router
