"""Has every route a scope, and is a request matched by the route that will answer it?"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter, Request, Response
from starlette.routing import BaseRoute, Mount, Route

from ingester.grpc_api.otlp import SERVICE
from narfi.access.routes import (
    GRPC_NEEDS,
    KNOWN,
    NEEDS,
    OF_PROCESSES,
    OPEN,
    READ,
    RULES,
    SOCKET,
    WRITE,
    Need,
    RouteNeeds,
    RouteWithoutScopeError,
    methods_of,
)
from narfi.core.grant import Scope
from narfi.core.settings import Settings
from narfi.server.app import all_routers
from narfi.server.readiness import Readiness
from storage.head_exchange import SERVICE as HEADS

DOCS = Path(__file__).parents[2] / "docs/security.md"


class Anything:
    """Has every attribute."""

    def __getattr__(self, name: str) -> Any:
        return Anything()


def routes() -> list[BaseRoute]:
    """Of a server; nothing is asked of its parts."""
    server = SimpleNamespace(
        settings=Settings(limits={}, overrides={}),
        **dict.fromkeys(
            ("places", "pushes", "push_pool", "tenancy", "clock", "flusher", "queries"), Anything()
        ),
        tokens=Anything(),
        **dict.fromkeys(("deletes", "saved", "tails", "ruler", "journals", "health"), Anything()),
    )
    return [
        r
        for router in all_routers(cast(Any, server), Readiness(), cast(Any, Anything()))
        for r in router.routes
    ]


def scope(method: str, path: str) -> dict[str, Any]:
    """Of a request."""
    kind = "websocket" if method == SOCKET else "http"
    return {"type": kind, "method": method, "path": path, "headers": [], "root_path": ""}


def test_every_route_has_a_scope_and_the_table_has_no_other_ones() -> None:
    found = {(method, route.path) for route in routes() for method in methods_of(route)}  # type: ignore[attr-defined]
    assert found == set(NEEDS)


def test_a_route_without_a_scope_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/new")
    async def new() -> None: ...

    with pytest.raises(RouteWithoutScopeError, match="GET /new"):
        RouteNeeds(router.routes)
    with pytest.raises(AssertionError):
        RouteNeeds([Mount("/ui", routes=[Route("/x", new)])])


def test_a_method_without_a_scope_stops_the_start() -> None:
    router = APIRouter()

    @router.api_route("/ready", methods=["GET", "POST"])
    async def ready() -> None: ...

    with pytest.raises(RouteWithoutScopeError, match="POST /ready"):
        RouteNeeds(router.routes)


def test_only_what_tells_nothing_is_open() -> None:
    opened = {route for route, need in NEEDS.items() if need.is_open}
    page = {("GET", "/"), ("GET", "/ui"), ("GET", "/ui/{name:path}")}
    session = {(method, "/narfi/api/v1/session") for method in ("GET", "POST", "DELETE")}
    state = {("GET", "/ready"), ("GET", "/loki/api/v1/status/buildinfo")}
    assert opened == page | session | state
    assert all(need.scopes for need in NEEDS.values() if not need.is_open)


def test_calls_over_grpc_have_scopes() -> None:
    assert set(GRPC_NEEDS) == {"/logproto.Pusher/Push", f"/{SERVICE}/Export"}
    assert all(need.scopes == {Scope.WRITE} for need in GRPC_NEEDS.values())
    assert {f"/{HEADS}/{name}" for name in ("Scan", "Flush", "Follow")} == OF_PROCESSES


@pytest.mark.parametrize(
    ("method", "path", "need"),
    [
        ("GET", "/ready", OPEN),
        ("GET", "/ready/", KNOWN),
        ("GET", "/READY", KNOWN),
        ("POST", "/ready", KNOWN),
        ("HEAD", "/loki/api/v1/query", KNOWN),
        ("GET", "/loki/api/v1/query", READ),
        ("GET", "/loki/api/v1/query\n", READ),  # as the router reads it
        ("GET", "/loki/api/v1/label/ready/values", READ),
        ("GET", "/loki/api/v1/label/a/b/values", KNOWN),
        (SOCKET, "/loki/api/v1/tail", READ),
        (SOCKET, "/ready", KNOWN),
        ("POST", "/loki/api/v1/rules/ready", RULES),
        ("POST", "/loki/api/v1/rules/../../../../ready", RULES),
        ("DELETE", "/api/prom/rulesx", RULES),
        ("GET", "", KNOWN),
        ("OPTIONS", "/loki/api/v1/push", KNOWN),
    ],
)
def test_requests_by_their_route(method: str, path: str, need: Need) -> None:
    assert RouteNeeds(routes()).of(scope(method, path)) == need


def test_every_route_is_in_the_documentation_with_its_scopes() -> None:
    rows = re.findall(r"^\| `([A-Z, ]+)` \| `([^`]+)` \| ([a-z, *]+) \|$", DOCS.read_text(), re.M)
    told = {
        (method, path): {name.strip() for name in names.split(",")}
        for methods, path, names in rows
        for method in methods.split(", ")
    }
    wanted = {
        route: {"*open*"} if need.is_open else {str(found) for found in need.scopes}
        for route, need in NEEDS.items()
    }
    assert told == wanted


def test_what_is_looked_up_once_is_what_the_routes_say() -> None:
    async def handler(_request: Request) -> Response:
        return Response()

    routes = [
        Route("/ui/{name:path}", handler, methods=["GET"]),
        Route("/ui/plain", handler, methods=["GET", "POST"]),
    ]
    table = {("GET", "/ui/{name:path}"): READ, ("HEAD", "/ui/{name:path}"): READ}
    table |= {(method, "/ui/plain"): WRITE for method in ("GET", "HEAD", "POST")}
    needs = RouteNeeds(routes, table)
    for method in ("GET", "HEAD", "POST", "PUT"):
        scope = {"type": "http", "method": method, "path": "/ui/plain"}
        first = {"GET": ("/ui/{name:path}", READ), "HEAD": ("/ui/{name:path}", READ)}
        first["POST"] = ("/ui/plain", WRITE)
        assert needs.found(scope) == first.get(method, ("", KNOWN))
