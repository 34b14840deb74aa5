"""Which routes does a process have that has not all roles? All of them; those of others say so.

A client that asks the wrong process gets a sentence instead of a 404 that looks like an old
version, with 503 so that an agent keeps what it could not push.
"""

from fastapi import APIRouter, Request, Response, WebSocket
from starlette.routing import Route, WebSocketRoute

from narfi.core.settings import Role
from narfi.server.http_errors import TEXT

DOES: dict[Role, str] = {
    "ingester": "takes no pushes",
    "querier": "answers no queries",
    "compactor": "does no upkeep",
    "ruler": "evaluates no rules",
}


def refused(role: Role, roles: tuple[Role, ...]) -> str:
    """What is told of a role that the process has not."""
    told = ", ".join(roles)
    return f"this process {DOES[role]}: {role} is not among its roles ({told})"


def for_role(router: APIRouter, role: Role, roles: tuple[Role, ...]) -> APIRouter:
    """The router, or one that refuses its routes."""
    if role in roles:
        return router
    text, found = f"{refused(role, roles)}\n", APIRouter()

    async def refuse(_: Request) -> Response:
        return Response(text, 503, media_type=TEXT)

    async def close(socket: WebSocket) -> None:
        await socket.close(1013, text.strip())

    for route in router.routes:
        if isinstance(route, Route):
            found.add_api_route(route.path, refuse, methods=sorted(route.methods or ()))
        elif isinstance(route, WebSocketRoute):
            found.add_api_websocket_route(route.path, close)
    return found
