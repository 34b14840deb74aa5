"""What becomes of an error that nobody expected? One log event, with an id that the client gets.

The traceback is plain: no values of variables, so no headers and no lines of logs. It is made on a
thread of its own, since a deep one takes longer than the event loop may stand still.
"""

import random
import string
import traceback
from collections.abc import Iterable
from threading import Lock

import structlog
from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from narfi.core.request_facts import facts_of
from narfi.core.threads import started_pool

log = structlog.get_logger(__name__)

ID_HEADER = "X-Request-Id"
MAX_ID_LENGTH = 64
MAX_WAITING = 100
"""Errors that wait to be written; more are counted only."""
FAILED = 1011
"""The code that closes a WebSocket."""

UNEXPECTED = Counter(
    "narfi_unexpected_errors_total", "Requests that ended in an error of the server's own."
)

_ID_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-_.:")


class Failures:
    """Writes unexpected errors to the log; thread-safe."""

    def __init__(self) -> None:
        self._writer = started_pool(1, "failures")
        self._lock = Lock()
        self._waiting = self._untold = 0

    def tell(self, error: BaseException, where: str, request_id: str) -> None:
        """Have it written soon; returns at once."""
        UNEXPECTED.inc()
        with self._lock:
            if self._waiting >= MAX_WAITING:
                self._untold += 1
                return
            self._waiting += 1
            untold, self._untold = self._untold, 0
        self._writer.submit(self._write, error, where, request_id, untold)

    def _write(self, error: BaseException, where: str, request_id: str, untold: int) -> None:
        try:
            told = "".join(traceback.format_exception(error))
            facts = {"untold_before": untold} if untold else {}
            log.error("request failed", where=where, request_id=request_id, trace=told, **facts)
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Return when everything is written."""
        self._writer.shutdown()


def request_id(headers: Iterable[tuple[str | bytes, str | bytes]]) -> str:
    """The id that the client gave, when it is one; else a new one."""
    for name, value in headers:
        if _text(name).lower() == ID_HEADER.lower():
            found = _text(value)
            if 0 < len(found) <= MAX_ID_LENGTH and _ID_CHARACTERS.issuperset(found):
                return found
    return f"{random.getrandbits(64):016x}"  # tells requests apart, and is no secret


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def told(found: str) -> str:
    """What the client of a failed request reads."""
    return f"internal error (request id {found}): the server's log tells more"


class CatchFailures:
    """ASGI middleware around everything: whatever is raised is told, and answered with its id."""

    def __init__(self, app: ASGIApp, failures: Failures) -> None:
        self._app, self._failures = app, failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer 500, or close the socket, when that raises."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - told by `Failures`
            found = facts_of(scope).request_id or request_id(scope.get("headers", ()))
            self._failures.tell(error, scope.get("path", ""), found)
            if scope["type"] == "websocket":
                await _close(send, found)
            elif not begun:
                answer = Response(f"{told(found)}\n", 500, media_type="text/plain; charset=utf-8")
                answer.headers[ID_HEADER] = found
                answer.headers["X-Content-Type-Options"] = "nosniff"
                await answer(scope, receive, send)
            # begun: the server closes the connection of an answer that does not end


async def _close(send: Send, found: str) -> None:
    try:
        await send({"type": "websocket.close", "code": FAILED, "reason": told(found)})
    except RuntimeError:  # it is closed already
        return
