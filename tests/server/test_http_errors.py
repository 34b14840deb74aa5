"""Does the log of an unexpected error keep the secrets of the request?"""

import asyncio
import contextlib
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from structlog.testing import capture_logs

from narfi.server import http_errors

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
