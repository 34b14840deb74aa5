"""How large may a body be, and all of them together? Looked at while they arrive, for every route.

Handlers are called once the whole body is there, so what they read is bounded, and a client that
sends slowly holds no thread. A client that is refused may still be sending (`access/refusal.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO

from prometheus_client import Counter
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from narfi.access.refusal import refuse
from narfi.core.in_flight import (
    RETRY_AFTER_S,
    SCOPE_KEY,
    BusyError,
    Charge,
    InFlight,
    TooCostlyError,
)

TEXT = "text/plain; charset=utf-8"

REFUSED = Counter(
    "narfi_refused_requests_total",
    "Requests refused before anything was done for them: large, busy, slow, head, connections.",
    ["reason"],
)


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


@dataclass(frozen=True, slots=True)
class BodyRule:
    """The largest body of a route, in bytes, and how a larger one is told."""

    most: int
    told: Callable[[int, int], str]
    render: Callable[[str], bytes] = _line


@dataclass(frozen=True, slots=True)
class BodyRules:
    """The rule of each path, and that of all others."""

    others: BodyRule
    paths: Mapping[str, BodyRule] = field(default_factory=dict)

    def of(self, path: str) -> BodyRule:
        """The rule of a path."""
        return self.paths.get(path, self.others)


class _TooLargeError(Exception):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class BodyLimits:
    """ASGI middleware: the whole body or a refusal, and the request's charge in its scope."""

    def __init__(self, app: ASGIApp, rules: BodyRules, in_flight: InFlight) -> None:
        self._app, self._rules, self._in_flight = app, rules, in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, or refuse it."""
        declared = _declared(scope) if scope["type"] == "http" else 0
        if declared == 0:
            await self._app(scope, receive, send)
            return
        rule, charge = self._rules.of(scope["path"]), self._in_flight.open()
        try:
            if declared is not None and declared > rule.most:
                raise _TooLargeError(declared)
            body = await _body(receive, rule.most, charge)
            if body is not None:  # None: the client went away
                scope[SCOPE_KEY] = charge
                await self._app(scope, _Replay(body, receive), send)
        except _TooLargeError as error:
            REFUSED.labels("large").inc()
            answer = rule.render(rule.told(error.size, rule.most))
            await refuse(Response(answer, 413, media_type=TEXT), scope, receive, send)
        except BusyError as error:
            REFUSED.labels("busy").inc()
            charge.close()
            refusal = Response(rule.render(error.message), 503, media_type=TEXT)
            refusal.headers["Retry-After"] = str(RETRY_AFTER_S)
            await refuse(refusal, scope, receive, send)
        except TooCostlyError as error:
            REFUSED.labels("large").inc()
            answer = rule.render(error.message)
            await refuse(Response(answer, 413, media_type=TEXT), scope, receive, send)
        finally:
            charge.close()


def _declared(scope: Scope) -> int | None:
    """The length of the body; 0: there is none; None: it comes in chunks."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


async def _body(receive: Receive, most: int, charge: Charge) -> bytes | None:
    """All of it; None when the client went away before the end."""
    size, body = 0, BytesIO()  # its value is taken out without a copy
    while (message := await receive())["type"] == "http.request":
        piece: bytes = message.get("body", b"")
        whole = not message.get("more_body", False)
        size += len(piece)
        if size > most:
            raise _TooLargeError(size)
        charge.take(len(piece))
        if whole and size == len(piece):
            return piece
        body.write(piece)
        if whole:
            return body.getvalue()
    return None


class _Replay:
    """Gives the body once, then what the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """The next message of the request."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
