"""May this request come in? ASGI middleware: the grant in its scope, or a refusal.

Decided before any of a body is read and before any work. A refused client that still sends is
listened to for a moment (`refusal.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from narfi.access.browsers import SECURITY_HEADERS, Browsers
from narfi.access.refusal import has_body, refuse
from narfi.access.routes import RouteNeeds
from narfi.access.sessions import CHANGE_HEADER, Sessions
from narfi.access.sign_in import SignIn
from narfi.core.auth import Tenancy
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import GRANT_KEY, NOBODY, Grant
from narfi.core.request_facts import facts_of

TEXT = "text/plain; charset=utf-8"
CHALLENGES = ('Bearer realm="narfi"', 'Basic realm="narfi", charset="UTF-8"')
"""What may be sent, for clients that ask first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is asked of every request."""

    browsers: Browsers
    sign_in: SignIn
    sessions: Sessions
    needs: RouteNeeds
    tenancy: Tenancy
    status_of: Callable[[ErrorKind], int]

    def grant(self, scope: Scope) -> Grant:
        """Who asks; raises an `AppError` that is the answer."""
        headers, facts = Headers(scope=scope), facts_of(scope)
        facts.route, need = self.needs.found(scope)
        self.browsers.check(scope)
        if need.is_open:
            return NOBODY
        client = scope.get("client")
        address = client[0] if client else ""
        authorization = self.sessions.authorization(scope)
        found = self.sign_in.grant(authorization, address, need.scopes)
        facts.token = found.name
        if need.of_tenant:
            facts.tenant = "|".join(self.tenancy.check(headers, found))
        return found


class Guard:
    """Lets in who may; a scope that has a grant already is the server's own request."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its grant, or refuse it."""
        if GRANT_KEY in scope or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        try:
            grant = self._door.grant(scope)
        except AppError as error:
            answer = self._answer(error, scope)
            if scope["type"] == "http" and has_body(scope):
                await refuse(answer, scope, receive, send)
            else:
                await answer(scope, receive, send)
            return
        await self._app({**scope, GRANT_KEY: grant}, receive, send)

    def _answer(self, error: AppError, scope: Scope) -> Response:
        text = f"{error.message}\n".encode("utf-8", "replace")
        answer = Response(text, self._door.status_of(error.kind), media_type=TEXT)
        is_page = Headers(scope=scope).get(CHANGE_HEADER) == "1"  # it has a form of its own
        if error.kind is ErrorKind.UNAUTHENTICATED and not is_page:
            for challenge in CHALLENGES:
                answer.headers.append("WWW-Authenticate", challenge)
        if error.retry_after_s is not None:
            answer.headers["Retry-After"] = str(error.retry_after_s)
        return answer


def _with_headers(send: Send) -> Send:
    """Adds what every answer tells browsers."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            there = {name.lower() for name, _ in headers}
            more = [(name, value) for name, value in SECURITY_HEADERS if name not in there]
            message = {**message, "headers": [*headers, *more]}
        await send(message)

    return sent
