"""Which HTTP status does an error have? One table, total over the kinds (a test says so)."""

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from narfi.core.errors import AppError, ErrorKind, shortened
from narfi.core.in_flight import RETRY_AFTER_S

STATUS = {
    ErrorKind.INVALID: 400,
    ErrorKind.UNPROCESSABLE: 422,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.CANCELLED: 499,
    ErrorKind.INTERNAL: 500,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.TIMEOUT: 504,
}

_WITH_NEWLINE = ("/push", "/otlp")
_HEADERS = {"X-Content-Type-Options": "nosniff"}
TEXT = "text/plain; charset=utf-8"
MOST_CHARS = 1 << 16
"""Of a message: it may name labels as long as the request was."""


def install(app: FastAPI) -> None:
    """Answer errors as plain text, as Loki does; unexpected ones are for `failures.py`."""

    async def app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return answer_of(request.url.path, error)

    async def http_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return Response("404 page not found\n", 404, _HEADERS, TEXT)
        if error.status_code == 405:
            return Response(status_code=405, headers=error.headers)
        return Response(f"{error.detail}\n", error.status_code, _HEADERS, TEXT)

    app.add_exception_handler(AppError, app_error)
    app.add_exception_handler(HTTPException, http_error)


def answer_of(path: str, error: AppError) -> Response:
    """What a request of this path is answered."""
    text, status = shortened(error.message, MOST_CHARS), STATUS[error.kind]
    if status == 401 or any(part in path for part in _WITH_NEWLINE):
        text += "\n"
    return Response(text.encode("utf-8", "replace"), status, _HEADERS | retry_header(error), TEXT)


def retry_header(error: AppError) -> dict[str, str]:
    """`Retry-After`, where trying again may help."""
    seconds = error.retry_after_s
    if seconds is None and error.kind is ErrorKind.UNAVAILABLE:
        seconds = RETRY_AFTER_S
    return {} if seconds is None else {"Retry-After": str(seconds)}
