"""Which requests need no router? Those of pushes: path and method are all that there is to find.

A router asks route after route and answers through a stack of its own; for a small push that takes
as long as storing it. Invariant: the endpoint is that of the route, and errors are answered as the
router's handlers answer them, so nobody can tell the two ways apart.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from narfi.core.errors import AppError
from narfi.server.http_errors import answer_of

Endpoint = Callable[[Request], Awaitable[Response]]


def direct_endpoints(routes: Sequence[BaseRoute], paths: Sequence[str]) -> dict[str, Endpoint]:
    """The endpoints of those of the paths that are routes."""
    found = (route for route in routes if isinstance(route, Route) and route.path in paths)
    return {route.path: route.endpoint for route in found}


class Direct:
    """ASGI middleware in front of the router: POST requests to the given paths go to endpoints."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint]) -> None:
        self._app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST" or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        try:
            answer = await endpoint(Request(scope, receive))
        except AppError as error:
            answer = answer_of(scope["path"], error)
        await answer(scope, receive, send)
