"""Does the log of an unexpected error keep the secrets of the request?"""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from narfi.server import http_errors
from storage.objects.base import ObjectError

SECRET = "Basic c2VjcmV0"
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "headers": [(b"authorization", SECRET.encode())],
}


def test_no_local_values_are_logged() -> None:
    app = FastAPI()
    http_errors.install(app)

    @app.get("/")
    async def fails(request: Request) -> None:
        secret = request.headers["authorization"]
        raise ZeroDivisionError(f"of {len(secret)} characters")

    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    with capture_logs() as logs, contextlib.suppress(ZeroDivisionError):
        asyncio.run(app(dict(SCOPE), receive, send))
    assert sent[0]["status"] == 500
    (told,) = logs
    assert f"ZeroDivisionError: of {len(SECRET)} characters" in told["traceback"]
    assert SECRET not in repr(told)
    assert "exc_info" not in told


def test_what_is_unavailable_says_when_to_ask_again() -> None:
    app = FastAPI()
    http_errors.install(app)

    @app.get("/")
    async def fails() -> None:
        raise ObjectError("object x cannot be read: I/O error")

    answer = TestClient(app).get("/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == str(http_errors.RETRY_AFTER_S)
