"""`POST /reload`: read the configuration again, and say what changed and what needs a restart."""

import asyncio
from dataclasses import asdict

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.audit import audit_request
from narfi.core.grant import grant_of
from narfi.server.reload import Reloader


def reload_router(reloader: Reloader) -> APIRouter:
    """The endpoint, also by the name that Prometheus' has."""
    router = APIRouter()

    @router.post("/reload")
    @router.post("/-/reload")
    async def reload(request: Request) -> Response:
        by = grant_of(request.scope).name
        outcome = await asyncio.to_thread(reloader.reload, by)
        if outcome.error is None:
            changed = ",".join(outcome.changed)
            audit_request(request.scope, "configuration read again", changed=changed)
        else:
            audit_request(request.scope, "configuration refused", error=outcome.error)
        status = "success" if outcome.error is None else "failed"
        body = orjson.dumps({"status": status, **asdict(outcome)})
        code = 200 if outcome.error is None else 400
        return Response(body, code, media_type="application/json; charset=utf-8")

    return router
