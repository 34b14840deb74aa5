"""Which routes does the server have, and what happens around each request?"""

import posixpath
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware, remove_compress_type

from ingester.http_api.otlp import PATHS as OTLP_PATHS
from ingester.http_api.otlp import otlp_router, status_message
from ingester.http_api.push import PATHS as PUSH_PATHS
from ingester.http_api.push import admin_router, push_router
from narfi.access.browsers import browsers_of
from narfi.access.guard import Door, Guard
from narfi.access.routes import RouteNeeds
from narfi.bundled.offered import OfferedPacks
from narfi.core.settings import Role, Settings
from narfi.server import http_errors
from narfi.server.addresses import host_of, is_loopback, page_url
from narfi.server.bodies import BodyLimits, BodyRule, BodyRules
from narfi.server.direct import Direct, direct_endpoints
from narfi.server.failures import CatchFailures, Failures
from narfi.server.http_errors import STATUS
from narfi.server.limits_api import limits_router
from narfi.server.observing import Observed, Requests
from narfi.server.packs_api import packs_router
from narfi.server.readiness import Readiness
from narfi.server.reload import Reloader, unloaded
from narfi.server.reload_api import reload_router
from narfi.server.roles import for_role
from narfi.server.session_api import PATH as SESSION_PATH
from narfi.server.session_api import session_router
from narfi.server.state import state_of
from narfi.server.status import Ready, status_router
from narfi.server.wiring import Server
from querier.http_api.context import context_router
from querier.http_api.delete_preview import delete_preview_router
from querier.http_api.deletes import deletes_router
from querier.http_api.detected import detected_router
from querier.http_api.distribution import distribution_router
from querier.http_api.drilldown import drilldown_router
from querier.http_api.explain_data import explain_data_router
from querier.http_api.export import export_router
from querier.http_api.fields import fields_router
from querier.http_api.histogram import histogram_router
from querier.http_api.legacy import legacy_router
from querier.http_api.lines import lines_router
from querier.http_api.metadata import metadata_router
from querier.http_api.patterns import patterns_router
from querier.http_api.queries import queries_router
from querier.http_api.query import query_router
from querier.http_api.requests import MAX_FORM_BYTES
from querier.http_api.saved import saved_router
from querier.http_api.sql import sql_router
from querier.http_api.tail import tail_router
from querier.http_api.top_patterns import top_patterns_router
from querier.http_api.volume import volume_router
from ruler.http_api.config_api import config_router
from ruler.http_api.prometheus_api import prometheus_router
from ruler.http_api.status_api import status_api_router
from ui.serving import FOLDER as UI_FOLDER
from ui.serving import ui_router

MIN_COMPRESSED_BYTES = 1024
_UNCLEAN = re.compile("//|/[.]{1,2}(/|$)")
_ALWAYS = frozenset(
    (
        *("/ready", "/metrics", "/config", "/loki/api/v1/status/buildinfo"),
        *("/status", "/narfi/api/v1/status", "/log_level", SESSION_PATH, "/", "/ui"),
    )
)


def _cleaned(path: str) -> str:
    """Without empty segments, `.` and `..`; a slash at the end stays."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


class _CleanPath:
    """Takes the prefix away, and redirects paths that are not clean as the recorded server."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or redirect it."""
        if self._prefix and scope.get("path", "").startswith(self._prefix + "/"):
            scope = {**scope, "path": scope["path"][len(self._prefix) :]}
        if scope["type"] == "http" and _UNCLEAN.search(scope["path"]):
            query = scope["query_string"].decode("latin-1")
            target = _cleaned(scope["path"]) + (f"?{query}" if query else "")
            answer = Response(status_code=301, headers={"Location": quote(target, safe="/?&=%")})
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _Gate:
    """Answers 503 while the server starts, except where its state is asked."""

    def __init__(self, app: ASGIApp, readiness: Readiness) -> None:
        self._app, self._readiness = app, readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        path = scope.get("path", "")
        is_asked = scope["type"] in ("http", "websocket")  # to follow what is half replayed, too
        if is_asked and not (path in _ALWAYS or path.startswith(UI_FOLDER)):
            reason = self._readiness.reason()
            if reason is not None:
                await Response(f"not ready: {reason}\n", 503)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _push_too_large(size: int, most: int) -> str:
    return f"request body too large: message size too large than max ({size} vs {most})"


def _form_too_large(size: int, most: int) -> str:
    return f"http: request body too large ({size} bytes; at most {most} are taken)"


def _body_rules(max_recv_msg_size: int) -> BodyRules:
    push = BodyRule(max_recv_msg_size, _push_too_large)
    otlp = BodyRule(max_recv_msg_size, _push_too_large, status_message)
    paths = dict.fromkeys(PUSH_PATHS, push) | dict.fromkeys(OTLP_PATHS, otlp)
    return BodyRules(BodyRule(MAX_FORM_BYTES, _form_too_large), paths)


def build_app(
    server: Server,
    readiness: Readiness,
    failures: Failures,
    requests: Requests,
    reloader: Reloader | None = None,
) -> FastAPI:
    """The HTTP application."""
    routers = all_routers(server, readiness, reloader or unloaded(server))
    routes = [route for router in routers for route in router.routes]
    app = FastAPI(title="Narfi", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    http_errors.install(app)
    remove_compress_type("text/plain")  # errors: Grafana does not unpack those
    app.add_middleware(
        CompressMiddleware,
        minimum_size=MIN_COMPRESSED_BYTES,
        zstd=False,  # the recorded server answers `br` alone with a plain body
        brotli=False,
        gzip_level=1,
    )
    app.add_middleware(Direct, endpoints=direct_endpoints(routes, PUSH_PATHS))
    settings = server.settings
    rules = _body_rules(settings.ingester.max_recv_msg_size)
    app.add_middleware(BodyLimits, rules=rules, in_flight=server.in_flight)
    app.add_middleware(_Gate, readiness=readiness)
    app.add_middleware(Guard, door=_door(server, routes))
    if settings.server.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.server.cors_origins,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
        )
    app.add_middleware(_CleanPath, prefix=settings.server.path_prefix)
    app.add_middleware(CatchFailures, failures=failures)
    app.add_middleware(Observed, requests=requests)
    for router in routers:
        app.include_router(router)
    return app


def _door(server: Server, routes: Sequence[BaseRoute]) -> Door:
    """What every request is asked."""
    settings = server.settings
    bound = host_of(settings.server.http)
    browsers = browsers_of(
        settings.server.hosts,
        settings.server.cors_origins,
        bound,
        is_guarded=settings.auth.enabled or not is_loopback(bound),
    )
    return Door(
        browsers=browsers,
        sign_in=server.tokens.sign_in,
        sessions=server.tokens.sessions,
        needs=RouteNeeds(routes),
        tenancy=server.tenancy,
        status_of=STATUS.__getitem__,
    )


def all_routers(server: Server, readiness: Readiness, reloader: Reloader) -> list[APIRouter]:
    """All routes, those of roles that the process has not too.

    Each is in the table of `narfi/access/routes.py`.
    """
    settings, tenancy, clock = server.settings, server.tenancy, server.clock
    state, reach = partial(state_of, server, readiness, reloader), server.places.reach
    most, pool = settings.ingester.max_decompressed_size, server.push_pool
    ready, status_of = (
        Ready(
            readiness=readiness,
            away=lambda: reach.away,
            trouble=server.journals.trouble,
            roles=settings.roles,
            hinders=server.health.hinders,
            far=reach.parts,
        ),
        STATUS.__getitem__,
    )
    pushing = [
        push_router(server.pushes, pool, tenancy, most),
        otlp_router(server.pushes, pool, tenancy, clock, status_of, most),
        admin_router(server.flusher),
    ]
    asking = [
        query_router(server.queries),
        metadata_router(server.queries),
        volume_router(server.queries),
        patterns_router(server.queries),
        legacy_router(server.queries),
        deletes_router(server.queries, server.deletes),
        tail_router(server.queries, server.tails, status_of),
        detected_router(server.queries),
        drilldown_router(server.queries),
        queries_router(server.queries),
        fields_router(server.queries),
        histogram_router(server.queries),
        distribution_router(server.queries),
        top_patterns_router(server.queries),
        explain_data_router(server.queries),
        lines_router(server.queries, status_of),
        context_router(server.queries),
        export_router(server.queries),
        delete_preview_router(server.queries, server.deletes),
        saved_router(server.queries, server.saved),
        sql_router(server.queries, _local_folder(settings)),
        packs_router(server.queries, OfferedPacks()),
    ]
    ruling: list[APIRouter] = []
    if settings.ruler.enable_api:
        ruling = [
            config_router(server.ruler, tenancy),
            prometheus_router(server.ruler, tenancy),
            status_api_router(server.ruler),
        ]
    by_role: dict[Role, list[APIRouter]] = {"querier": asking, "ingester": pushing, "ruler": ruling}
    return [  # looked through in turn for each request: what is asked most comes first
        *(for_role(one, role, settings.roles) for role, some in by_role.items() for one in some),
        status_router(ready, lambda: reloader.in_force, state),
        limits_router(server, lambda: reloader.in_force),
        reload_router(reloader),
        session_router(server.tokens.sign_in, server.tokens.sessions, lambda: reloader.in_force),
        *([ui_router(settings.server.path_prefix)] if page_url(settings) else []),
    ]


def _local_folder(settings: Settings) -> Path | None:
    """The data folder, where it has blocks and catalog."""
    far = settings.storage.url or settings.catalog.url
    return None if far else Path(settings.data_dir).resolve()
