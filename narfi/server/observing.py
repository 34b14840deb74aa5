"""What became of each request? An id, a line of the log where that is asked for, and counters.

Around everything else, so refusals at the door and unexpected errors are seen too. The path is told
without its parameters, which hold queries and, by mistake, secrets.
"""

import time
from collections.abc import Callable
from typing import Any, Literal

import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from narfi.core.grant import GRANT_KEY
from narfi.core.log import REQUEST_ID
from narfi.core.request_facts import REQUEST_KEY, RequestFacts
from narfi.server.failures import ID_HEADER, request_id

log = structlog.get_logger(__name__)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)
GONE = 499
"""Of a request whose client went away before the answer began."""
OTHER = "other"
"""Stands for the route of what has none, and for methods that nobody knows."""
MOST_TOLD = 10
"""Failed requests that are logged in a second; more are counted only."""
MOST_PATH = 256
"""Characters of a path that are logged."""
_METHODS = frozenset(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"))
_PROBES = frozenset(("/ready", "/metrics"))

REQUEST_SECONDS = Histogram(
    "loki_request_duration_seconds",
    "Time of a request over HTTP or gRPC, from its head to the end of its answer.",
    ["method", "route", "status_code", "ws"],
    buckets=SECONDS,
)
IN_FLIGHT = Gauge("narfi_inflight_requests", "Requests over HTTP and gRPC that are worked on.")
RECEIVED = Counter("narfi_request_bytes_total", "Bytes of bodies of requests.", ["route"])
SENT = Counter("narfi_response_bytes_total", "Bytes of bodies of answers.", ["route"])

Told = Literal["none", "failed", "all"]
"""Which requests are logged (`log.requests`); `failed`: those with status 500 and more."""


class Requests:
    """Counts requests and logs them; used by the event loop alone, but for `told`."""

    def __init__(self, told: Told, seconds: Callable[[], float] = time.monotonic) -> None:
        self.told: Told = told
        """Which are logged from now on; any thread may change it."""
        self._seconds = seconds
        self._second = self._told_in_it = self._untold = 0
        self._counters: dict[tuple[str, str, str, bool], Callable[[float], None]] = {}

    def begun(self, scope: Scope) -> "_Request":
        """A request that comes in; its facts are in its scope then."""
        return _Request(self, scope, self._seconds())

    def ended(self, request: "_Request", status: int, *, is_socket: bool) -> None:
        """A request has its answer."""
        seconds = self._seconds() - request.began_s
        route = request.facts.route or OTHER
        self.count(route, request.method, str(status), seconds, is_socket=is_socket)
        RECEIVED.labels(route).inc(request.received)
        SENT.labels(route).inc(request.sent)
        if self.is_told(status, request.facts.route):
            self._tell(request, status, seconds)

    def count(
        self, route: str, method: str, status: str, seconds: float, *, is_socket: bool = False
    ) -> None:
        """A request of any transport."""
        key = (method, route, status, is_socket)
        counter = self._counters.get(key)
        if counter is None:
            child = REQUEST_SECONDS.labels(method, route, status, str(is_socket).lower())
            counter = self._counters[key] = child.observe
        counter(seconds)

    def is_told(self, status: int, route: str) -> bool:
        """Whether a request is to be logged; only so many failed ones in a second are."""
        told = self.told
        if told != "failed":
            return told == "all"
        if status < 500 or route in _PROBES:
            return False
        second = int(self._seconds())
        if second != self._second:
            self._second, self._told_in_it = second, 0
        self._told_in_it += 1
        if self._told_in_it > MOST_TOLD:
            self._untold += 1
            return False
        return True

    def _tell(self, request: "_Request", status: int, seconds: float) -> None:
        facts, scope = request.facts, request.scope
        client = scope.get("client")
        self.tell(
            facts,
            status=status,
            seconds=seconds,
            method=request.method,
            path=scope.get("path", "")[:MOST_PATH],
            client=client[0] if client else "",
            bytes_in=request.received,
            bytes_out=request.sent,
        )

    def tell(self, facts: RequestFacts, status: object, seconds: float, **more: object) -> None:
        """Log a request of any transport."""
        told = {"tenant": facts.tenant, "token": facts.token, "route": facts.route, **more}
        found = {name: value for name, value in told.items() if value != ""}
        if self._untold:
            found["untold_before"], self._untold = self._untold, 0
        tell = log.info if self.told == "all" else log.warning
        ms = round(1000 * seconds, 3)
        tell("request", request_id=facts.request_id, status=status, ms=ms, **found)


class _Request:
    __slots__ = ("began_s", "facts", "method", "received", "requests", "scope", "sent", "status")

    def __init__(self, requests: Requests, scope: Scope, began_s: float) -> None:
        self.requests, self.scope, self.began_s = requests, scope, began_s
        self.facts = RequestFacts(request_id=request_id(scope.get("headers", ())))
        method = scope.get("method", "GET")
        self.method = method if method in _METHODS else OTHER
        self.received = self.sent = 0
        self.status = 0


class Observed:
    """ASGI middleware around everything: gives each request its id, and sees what becomes of it.

    The server's own requests, which come with a grant, are not counted.
    """

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app, self._requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if GRANT_KEY in scope or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = self._requests.begun(scope)
        REQUEST_ID.set(request.facts.request_id)
        is_socket = scope["type"] == "websocket"
        id_header = (ID_HEADER.lower().encode(), request.facts.request_id.encode())

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                request.received += len(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                request.status = message["status"]
                message = {**message, "headers": _with_id(message.get("headers", ()), id_header)}
            elif kind == "http.response.body":
                request.sent += len(message.get("body", b""))
            elif kind == "websocket.accept":
                request.status = 101
            elif kind == "websocket.close" and not request.status:
                request.status = 403
            elif kind == "websocket.send":
                request.sent += len(message.get("bytes") or message.get("text") or b"")
            await send(message)

        scope = {**scope, REQUEST_KEY: request.facts}
        IN_FLIGHT.inc()
        try:
            await self._app(scope, received, sent)
        finally:
            IN_FLIGHT.dec()
            self._requests.ended(request, request.status or GONE, is_socket=is_socket)


def _with_id(headers: Any, id_header: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [*(pair for pair in headers if pair[0].lower() != id_header[0]), id_header]
