"""How is the server? `/ready`, `/status`, `/metrics`, `/config` and build information."""

import asyncio
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

import orjson
import yaml
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from narfi.core.audit import audit_request
from narfi.core.clock import NS_PER_S
from narfi.core.log import LEVELS, level_name, set_level
from narfi.core.settings import Settings
from narfi.server.journals import Trouble
from narfi.server.reach import Away
from narfi.server.readiness import Readiness

LOKI_VERSION = "3.7.0"
"""The API level that clients look for in `version`."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What `/ready` knows: the start, far places that do not answer, trouble of the journal.

    `trouble` tells why no push is acknowledged, and whether that is so for good.
    """

    readiness: Readiness
    away: Callable[[], Sequence[Away]]
    trouble: Callable[[], Trouble | None]

    def answer(self) -> tuple[int, str]:
        """Status and text."""
        reason, trouble = self.readiness.reason(), self.trouble()
        if reason is None and trouble is not None and trouble.for_good:
            reason = trouble.reason
        if reason is not None:
            return 503, f"not ready: {reason}\n"
        told = "".join(_told(one) for one in self.away())
        return 200, f"ready\n{told}" + (f"{trouble.reason}\n" if trouble else "")


def status_router(
    ready_state: Ready, settings: Settings, state: Callable[[], dict[str, Any]]
) -> APIRouter:
    """Endpoints without a tenant; `state` may block."""
    router, readiness = APIRouter(), ready_state.readiness

    @router.get("/ready")
    async def ready() -> Response:
        status, text = ready_state.answer()
        return Response(text, status, media_type="text/plain; charset=utf-8")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/status")
    async def status() -> Response:
        return _json(await asyncio.to_thread(state))

    @router.get("/config")
    async def config() -> Response:
        text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
        return Response(text, media_type="text/plain; charset=utf-8")

    @router.get("/loki/api/v1/status/buildinfo")
    async def buildinfo() -> Response:
        body = {
            "version": LOKI_VERSION,
            "revision": f"narfi-{version('narfi')}",
            "branch": "main",
            "buildUser": "narfi",
            "buildDate": "",
            "goVersion": f"python{platform.python_version()}",
        }
        return Response(orjson.dumps(body), media_type="application/json; charset=utf-8")

    @router.get("/services")
    async def services() -> Response:
        names = ("server", "journal", "catalog", *settings.roles)
        state = "Running" if readiness.reason() is None else "Starting"
        text = "".join(f"{name} => {state}\n" for name in names)
        return Response(text, media_type="text/plain; charset=utf-8")

    @router.get("/log_level")
    async def log_level() -> Response:
        return _json({"message": f"Current log level is {level_name()}"})

    @router.post("/log_level")
    async def set_log_level(request: Request) -> Response:
        body = (await request.body()).decode("utf-8", "replace")
        name = dict(parse_qsl(body)).get("log_level") or request.query_params.get("log_level", "")
        if name not in LEVELS:
            return _json({"status": "failed", "message": f'unrecognized log level "{name}"'}, 400)
        before = level_name()
        set_level(name)
        audit_request(request.scope, "log level changed", before=before, now=name)
        return _json({"status": "success", "message": f"Log level set to {name}"})

    return router


def _told(away: Away) -> str:
    """Traffic may come all the same: a client that is sent away would lose what it cannot keep."""
    since = datetime.fromtimestamp(away.since_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"{away.part} cannot be reached since {since}: pushes are kept in the journal, queries "
        "that need it get 503\n"
    )


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=utf-8")
