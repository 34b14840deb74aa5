"""`/narfi/api/v1/session`: who looks at the page, what may that one do, and what is there to see?

`POST` with a token begins a session (`narfi/access/sessions.py`), `DELETE` ends it. `GET` answers
everybody: the page asks it first, to know whether to show a form.
"""

from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from narfi.access.sessions import CHANGE_HEADER, Sessions, cookie_of, set_cookie
from narfi.access.sign_in import NotSignedInError, SignIn
from narfi.core.audit import audit_request
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ForbiddenError, Grant
from narfi.core.request_facts import facts_of
from narfi.core.settings import Settings
from narfi.core.tenant import DEFAULT_TENANT

PATH = "/narfi/api/v1/session"
MAX_BODY = 16 * 1024


def session_router(
    sign_in: SignIn, sessions: Sessions, in_force: Callable[[], Settings]
) -> APIRouter:
    """The endpoints; all of them are open, and tell nothing of others."""
    router = APIRouter()

    @router.get(PATH)
    async def session(request: Request) -> Response:
        try:
            authorization = sessions.authorization(request.scope)
            found = sign_in.grant(authorization, _address(request), frozenset())
        except AppError as error:
            if error.kind not in (ErrorKind.UNAUTHENTICATED, ErrorKind.RATE_LIMITED):
                raise
            found = None
        return _json(_told(found, in_force()))

    @router.post(PATH)
    async def begin(request: Request) -> Response:
        _check_is_own(request.headers)
        token = _token(await request.body())
        found = sign_in.grant(f"Bearer {token}", _address(request), frozenset())
        facts_of(request.scope).token = found.name
        answer = _json(_told(found, in_force()))
        if in_force().auth.enabled:
            cookie = sessions.begin(token)
            answer.headers["Set-Cookie"] = set_cookie(cookie, is_tls=_is_tls(request))
            audit_request(request.scope, "session begun")
        return answer

    @router.delete(PATH)
    async def end(request: Request) -> Response:
        _check_is_own(request.headers)
        sessions.end(cookie_of(request.headers))
        cookie = set_cookie("", is_tls=_is_tls(request))
        return Response(status_code=204, headers={"Set-Cookie": cookie})

    return router


def _told(grant: Grant | None, settings: Settings) -> dict[str, Any]:
    """What the page is made of; without a grant only that there is a form to show."""
    is_known = grant is not None
    features = {
        "sql": find_spec("duckdb") is not None and "querier" in settings.roles,
        "ruler": "ruler" in settings.roles and settings.ruler.enable_api,
        "canary": settings.canary.enabled,
    }
    return {
        "auth": settings.auth.enabled,
        "signed_in": is_known,
        "name": grant.name if grant is not None and settings.auth.enabled else "",
        "scopes": sorted(grant.scopes) if grant is not None else [],
        "tenancy": settings.tenancy,
        "tenants": _tenants(grant, settings) if grant is not None else [],
        "restricted": grant is not None and bool(grant.streams),
        "version": version("narfi") if is_known else "",
        "features": features if is_known else dict.fromkeys(features, False),
    }


def _tenants(grant: Grant, settings: Settings) -> list[str]:
    """`*`: all, whichever there are."""
    if settings.tenancy == "single":
        return [DEFAULT_TENANT]
    return ["*"] if grant.tenants is None else sorted(grant.tenants)


def _token(body: bytes) -> str:
    if len(body) > MAX_BODY:
        raise InvalidRequestError("the body is no token")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequestError('the body is not JSON: {"token": "…"}') from None
    token = found.get("token") if isinstance(found, dict) else None
    if not isinstance(token, str):
        raise InvalidRequestError('the body has no token: {"token": "…"}')
    if not token.strip():
        raise NotSignedInError("a token is required")
    return token.strip()


def _check_is_own(headers: Headers) -> None:
    """Another page cannot send this header: nobody is signed in or out by one."""
    if headers.get(CHANGE_HEADER) != "1":
        raise ForbiddenError("a session is changed with the header X-Narfi-Request: 1")


def _is_tls(request: Request) -> bool:
    """Here, or at a proxy before us that says so; to claim it falsely only loses one's cookie."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _json(body: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), media_type="application/json", headers=headers)
