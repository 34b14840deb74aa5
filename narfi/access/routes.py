"""Which scope does each route need? One table; a route that is not in it stops the start.

Requests are matched by the routes themselves, as the router does afterwards, so no spelling of a
path reaches a handler by another scope than its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Scope as AsgiScope

from narfi.core.grant import Scope

SOCKET = "WEBSOCKET"
"""Stands for the method of a socket."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a request needs: one of the scopes; `is_open`: no token at all."""

    scopes: frozenset[Scope] = frozenset()
    is_open: bool = False
    of_tenant: bool = True  # else of the whole server


OPEN = Need(is_open=True, of_tenant=False)
KNOWN = Need(of_tenant=False)
"""Of a path that is no route: who asks is known, and gets 404."""
READ, WRITE, DELETE = (Need(frozenset((s,))) for s in (Scope.READ, Scope.WRITE, Scope.DELETE))
RULES = Need(frozenset((Scope.RULES,)))
OWN_OR_ALL = Need(frozenset((Scope.READ, Scope.ADMIN)), of_tenant=False)
"""What a tenant may see of itself, and an operator of all: the handler tells them apart."""
READ_RULES = Need(frozenset((Scope.READ, Scope.RULES)))
ADMIN = Need(frozenset((Scope.ADMIN,)), of_tenant=False)
METRICS = Need(frozenset((Scope.METRICS, Scope.ADMIN)), of_tenant=False)

_QUERIES = (
    *("query", "query_range", "labels", "label", "label/{name}/values", "series", "index/stats"),
    *("index/volume", "index/volume_range", "patterns", "format_query", "detected_labels"),
    *("detected_fields", "detected_field/{name}/values"),
)
_EXPLORING = ("fields", "facets", "histogram", "distribution", "patterns", "explain")
_LINES = ("lines", "context", "export")
_RECEIPTS = ("preview", "{request_id}/receipt")
_OLD_QUERIES = ("query", "label", "label/{name}/values", "series")
_PUSHES = ("/loki/api/v1/push", "/api/prom/push", "/otlp/v1/logs", "/loki/api/v1/otlp/v1/logs")
_RULES = ("/loki/api/v1/rules", "/api/prom/rules")


def _each(methods: str, paths: Iterable[str], need: Need) -> dict[tuple[str, str], Need]:
    return {(method, path): need for path in paths for method in methods.split()}


NEEDS: Mapping[tuple[str, str], Need] = {
    **_each("GET", ("/ready", "/loki/api/v1/status/buildinfo"), OPEN),
    **_each("GET", ("/", "/ui", "/ui/{name:path}"), OPEN),
    **_each("GET POST DELETE", ("/narfi/api/v1/session",), OPEN),
    **_each("GET", ("/metrics",), METRICS),
    **_each("GET", ("/status", "/narfi/api/v1/status"), ADMIN),
    **_each("GET", ("/config", "/services", "/log_level"), ADMIN),
    **_each("POST", ("/log_level", "/flush", "/reload", "/-/reload"), ADMIN),
    **_each("GET", ("/ruler/rule_groups", "/ruler/status", "/ruler/ring"), ADMIN),
    **_each("GET", ("/narfi/api/v1/queries", "/narfi/api/v1/limits"), OWN_OR_ALL),
    **_each("DELETE", ("/narfi/api/v1/queries/{query_id}",), OWN_OR_ALL),
    **_each("POST", ("/narfi/api/v1/queries/{query_id}/cancel",), OWN_OR_ALL),
    **_each("POST", _PUSHES, WRITE),
    **_each("GET POST", (f"/loki/api/v1/{path}" for path in _QUERIES), READ),
    **_each("GET POST", (f"/api/prom/{path}" for path in _OLD_QUERIES), READ),
    **_each("GET POST", (f"/narfi/api/v1/{path}" for path in _EXPLORING), READ),
    **_each(f"GET {SOCKET}", ("/loki/api/v1/tail", "/api/prom/tail"), READ),
    **_each("GET POST", (f"/narfi/api/v1/{path}" for path in _LINES), READ),
    **_each("GET", ("/loki/api/v1/drilldown-limits", "/config/tenant/v1/limits"), READ),
    **_each("GET POST PUT DELETE", ("/loki/api/v1/delete",), DELETE),
    **_each("GET", ("/narfi/api/v1/export/{export_id}", "/narfi/api/v1/saved"), READ),
    **_each("PUT DELETE", ("/narfi/api/v1/saved/{name}",), READ),
    **_each("POST", ("/narfi/api/v1/sql",), READ),
    **_each("GET", ("/narfi/api/v1/sql/tables", "/narfi/api/v1/packs"), READ),
    **_each("GET", (f"/narfi/api/v1/deletes/{path}" for path in _RECEIPTS), DELETE),
    **_each("GET", ("/prometheus/api/v1/rules", "/prometheus/api/v1/alerts"), READ_RULES),
    **_each("GET", (p + tail for p in _RULES for tail in ("", "{rest:any}")), READ_RULES),
    **_each("POST PUT DELETE", (p + tail for p in _RULES for tail in ("", "{rest:any}")), RULES),
}
"""By method and path of the route."""

GRPC_NEEDS: Mapping[str, Need] = {
    "/logproto.Pusher/Push": WRITE,
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": WRITE,
}
"""By full name of the method."""


OF_PROCESSES = frozenset(("/narfi.Heads/Scan", "/narfi.Heads/Flush", "/narfi.Heads/Follow"))
"""Methods for processes of one cluster, which show what only the catalog tells them."""


class RouteWithoutScopeError(Exception):
    """A route is not in the table."""


class RouteNeeds:
    """What requests need, by the routes that they lead to."""

    def __init__(
        self, routes: Sequence[BaseRoute], needs: Mapping[tuple[str, str], Need] = NEEDS
    ) -> None:
        """Raises `RouteWithoutScopeError`."""
        self._routes = [(route, _needs_of(route, needs)) for route in routes]
        self._known: dict[tuple[str, str], tuple[str, Need]] = {}
        for route, methods in self._routes:
            path = getattr(route, "path", "")
            if isinstance(route, Route) and "{" not in path:
                for method in methods:
                    scope = {"type": "http", "method": method, "path": path}
                    self._known[method, path] = self._searched(scope)

    def of(self, scope: AsgiScope) -> Need:
        """What a request or a socket needs."""
        return self.found(scope)[1]

    def found(self, scope: AsgiScope) -> tuple[str, Need]:
        """The route of a request or a socket, as the table has it, and what it needs; "": none.

        Paths without a variable were looked up once and for all.
        """
        if scope["type"] == "http" and not scope.get("root_path"):
            known = self._known.get((scope["method"], scope["path"]))
            if known is not None:
                return known
        return self._searched(scope)

    def _searched(self, scope: AsgiScope) -> tuple[str, Need]:
        """What the first route that matches says."""
        method = SOCKET if scope["type"] == "websocket" else scope["method"]
        for route, needs in self._routes:
            if method in needs and route.matches(scope)[0] is Match.FULL:
                return getattr(route, "path", ""), needs[method]
        return "", KNOWN


def methods_of(route: BaseRoute) -> tuple[str, ...]:
    """The methods of a route; `SOCKET` of a socket's."""
    if isinstance(route, WebSocketRoute):
        return (SOCKET,)
    assert isinstance(route, Route), f"{route} is of no kind that is guarded"
    return tuple(sorted(route.methods or ()))


def _needs_of(route: BaseRoute, needs: Mapping[tuple[str, str], Need]) -> dict[str, Need]:
    path = getattr(route, "path", "")
    found: dict[str, Need] = {}
    for method in methods_of(route):
        if (method, path) not in needs:
            raise RouteWithoutScopeError(f"{method} {path} is not in the table of scopes")
        found[method] = needs[method, path]
    return found
