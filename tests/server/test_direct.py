"""Nobody can tell the short way of a push from the one through the router."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Scope

from narfi.core.errors import AppError, ErrorKind
from narfi.server import http_errors
from narfi.server.direct import Direct, direct_endpoints

PATH = "/loki/api/v1/push"


class _OddError(AppError):
    def __init__(self, kind: ErrorKind, again: str = "") -> None:
        super().__init__(f"füll \udcff {kind.value}")
        self.kind = kind
        self.retry_after_s = int(again) if again else None


async def _push(request: Request) -> Response:
    body = (await request.body()).decode()
    if not body:
        return Response(status_code=204)
    kind, _, again = body.partition(" ")
    raise _OddError(ErrorKind[kind], again)


def _apps(endpoint: Callable[[Request], Awaitable[Response]] = _push) -> tuple[ASGIApp, ASGIApp]:
    """The application, with the short way before it and without."""
    router = APIRouter()
    router.add_route(PATH, endpoint, methods=["POST"])
    app = FastAPI(redirect_slashes=False)
    http_errors.install(app)
    app.include_router(router)
    return Direct(app, direct_endpoints(router.routes, (PATH, "/elsewhere"))), app


def _asked(app: ASGIApp, path: str = PATH, method: str = "POST", body: bytes = b"") -> object:
    """Status, headers and body of an answer."""
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 9),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], sorted(sent[0]["headers"]), content


@pytest.mark.parametrize("again", ["", " 7"])
@pytest.mark.parametrize("kind", list(ErrorKind))
def test_errors_are_answered_as_the_router_does(kind: ErrorKind, again: str) -> None:
    short, long = _apps()
    body = f"{kind.name}{again}".encode()
    answer = _asked(short, body=body)
    assert answer == _asked(long, body=body)
    assert answer[0] == http_errors.STATUS[kind]  # type: ignore[index]


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        *((PATH, "POST", 204), (PATH, "GET", 405)),
        *((f"{PATH}/", "POST", 404), ("/elsewhere", "POST", 404)),
    ],
)
def test_all_else_is_the_routers(path: str, method: str, status: int) -> None:
    short, long = _apps()
    answer = _asked(short, path, method)
    assert answer == _asked(long, path, method)
    assert answer[0] == status  # type: ignore[index]


def test_a_push_asks_no_route() -> None:
    async def never(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("the router was asked")

    short = Direct(never, {PATH: _push})
    assert _asked(short) == (204, [], b"")


def test_what_nobody_expected_is_raised() -> None:
    async def broken(_request: Request) -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _asked(_apps(broken)[0])
