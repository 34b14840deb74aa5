"""How is the server? `/ready`, `/status`, `/metrics`, `/config` and build information."""

import asyncio
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl

import orjson
import yaml
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from narfi.core.audit import audit_request
from narfi.core.clock import rfc3339
from narfi.core.log import LEVELS, level_name, set_level
from narfi.core.settings import ROLES, Role, Settings
from narfi.server.health import NEEDS, PartState
from narfi.server.journals import Trouble
from narfi.server.reach import Away
from narfi.server.readiness import Readiness
from narfi.server.roles import refused

LOKI_VERSION = "3.7.0"
"""The API level that clients look for in `version`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What `/ready` knows: the start, far places that do not answer, trouble of the journal.

    `trouble` tells why no push is acknowledged, and whether that is so for good; `hinders` which
    parts fail without which a role does nothing.
    """

    readiness: Readiness
    away: Callable[[], Sequence[Away]]
    trouble: Callable[[], Trouble | None]
    roles: Sequence[Role]
    hinders: Callable[[Role], Sequence[PartState]]
    far: Sequence[str]  # places of which `away` tells, sooner than `hinders`

    def answer(self) -> tuple[int, str]:
        """Status and text for the process: 503 only where a restart or waiting is all that helps.

        One that does some of its work stays in the traffic, and says what it does not do.
        """
        reason, trouble = self.readiness.reason(), self.trouble()
        if reason is None and trouble is not None and trouble.for_good:
            reason = trouble.reason
        if reason is not None:
            return 503, f"not ready: {reason}\n"
        told = [_told(one) for one in self.away()]
        if trouble is not None:
            told.append(trouble.reason)
        elif "ingester" in self.roles:
            told += self._near("ingester")
        if "querier" in self.roles:
            told += self._near("querier")
        return 200, "".join(f"{one}\n" for one in ("ready", *told))

    def of_role(self, asked: str) -> tuple[int, str]:
        """Status and text for one role: 503 while it does nothing of what it is for."""
        role = next((one for one in ROLES if one == asked), None)
        if role is None:
            return 400, f"role is one of {', '.join(ROLES)}\n"
        if role not in self.roles:
            return 503, f"not ready: {refused(role, tuple(self.roles))}\n"
        status, text = self.answer()
        reasons = [_told(one) for one in self.away() if one.part in NEEDS[role]]
        reasons += self._near(role)
        if status == 200 and reasons:
            return 503, f"not ready: {'; '.join(reasons)}\n"
        return (status, text) if status != 200 else (200, "ready\n")

    def _near(self, role: Role) -> list[str]:
        """What hinders a role, but for far places."""
        return [_sentence(one) for one in self.hinders(role) if one.part not in self.far]


def status_router(
    ready_state: Ready, in_force: Callable[[], Settings], state: Callable[[], dict[str, Any]]
) -> APIRouter:
    """Endpoints without a tenant; `state` may block."""
    router, readiness = APIRouter(), ready_state.readiness

    @router.get("/ready")
    async def ready(request: Request) -> Response:
        role = request.query_params.get("role", "")
        status, text = ready_state.of_role(role) if role else ready_state.answer()
        return Response(text, status, media_type="text/plain; charset=utf-8")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/status")
    @router.get("/narfi/api/v1/status")
    async def status() -> Response:
        return _json(await asyncio.to_thread(state))

    @router.get("/config")
    async def config() -> Response:
        text = yaml.safe_dump(in_force().model_dump(mode="json"), sort_keys=False)
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
        names = ("server", "journal", "catalog", *ready_state.roles)
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


def _sentence(one: PartState) -> str:
    """What is wrong, since when, and what to do."""
    return f"{one.part} since {rfc3339(one.since_ns)}: {one.what}; {one.step}"


def _told(away: Away) -> str:
    """Traffic may come all the same: a client that is sent away would lose what it cannot keep."""
    return (
        f"{away.part} cannot be reached since {rfc3339(away.since_ns)}: pushes are kept in the "
        "journal, queries that need it get 503"
    )


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json; charset=utf-8")
