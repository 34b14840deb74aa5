"""What may connections cost? Heads, time and their number are bounded, on top of uvicorn.

Invariant: every open connection that waits for its client has a timer: for a request that is not
whole, for the next request, for an answer that is not taken. Bodies are counted in `bodies.py`.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from narfi.access.refusal import LINGER_S
from narfi.core.in_flight import RETRY_AFTER_S, BusyError, Charge, InFlight, TooCostlyError
from narfi.server.bodies import REFUSED

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 256 * 1024
"""Request line and headers of a request: four times what Grafana puts into a line."""
MAX_HEADERS = 256
MAX_PARSED_URL = 60_000
"""Longer ones are taken apart here."""
FREE_HEAD_BYTES = 16 * 1024
"""Larger heads are charged to the bytes in flight."""
MAX_PIPELINED = 16
"""Requests that wait on one connection for the answer before them."""
RESERVED = 32
"""Connections beyond the limit that are asked for their request: `/ready` and `/metrics` answer."""
RESERVED_PATHS = ("/ready", "/metrics")
RESERVED_READ_S = 5.0
STOP_READ_S = 2.0
"""How long a request that is not whole is waited for when the server stops."""
OWN_FILES = 256
"""Files that the server itself has open: journal, catalog, blocks, gRPC."""
MIN_TAKEN_BYTES = 64 * 1024
"""What a client takes of an answer in each write timeout, at least."""


@dataclass(kw_only=True)
class Bounds:
    """What all connections of a server share."""

    read_s: float  # a request must be whole in this time
    write_s: float  # some of an answer must be taken in this time
    idle_s: float  # between two requests
    most: int  # connections
    in_flight: InFlight
    idle: dict["BoundedHttp", None] = field(default_factory=dict)  # longest idle first


def allowed_connections(wanted: int) -> int:
    """As many as wanted, or as the process may open files; 0 wants as many as that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = (wanted or soft) + RESERVED + OWN_FILES
    if hard != resource.RLIM_INFINITY:
        need = min(need, hard)
    if soft != resource.RLIM_INFINITY and need > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
        soft = need
    most = soft - RESERVED - OWN_FILES
    if wanted and (soft == resource.RLIM_INFINITY or most >= wanted):
        return wanted
    most = max(most, RESERVED)
    if wanted:
        log.warning(
            "fewer connections than server.http_listen_conn_limit: raise the limit of open files",
            connections=most,
            wanted=wanted,
            open_files=soft,
        )
    return most


class _Flow(FlowControl):
    """Reading stays paused while requests wait, whatever the request before them asks for."""

    def __init__(self, transport: asyncio.Transport, waiting: Callable[[], object]) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting():
            super().resume_reading()


class _RefusedError(Exception):
    """Raised in the parser's callbacks; what is answered is noted before."""


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, bounds: Bounds, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bounds = bounds
        self.timeout_keep_alive = bounds.idle_s  # type: ignore[assignment]
        self._reserve = False  # beyond the limit of connections
        self._discarding = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_socket = False
        self._write_timer: asyncio.TimerHandle | None = None
        self._untaken = 0
        self._in_request = self._in_head = False
        self._progress = False  # in this piece, something was finished
        self._unfinished = self._head = self._headers = 0
        self._charge: Charge | None = None
        self._charged = 0
        self._refusal = (400, "invalid HTTP request: it cannot be read as HTTP/1.1", "head")

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it; beyond the limit the one that is idle longest gives way."""
        super().connection_made(transport)
        self.flow = _Flow(transport, lambda: self.pipeline)
        bounds = self._bounds
        over = len(self.connections) - bounds.most
        if over > 0 and bounds.idle:
            oldest = next(iter(bounds.idle))
            del bounds.idle[oldest]
            oldest.transport.close()
        elif over > RESERVED:
            REFUSED.labels("connections").inc()
            transport.abort()
            return
        else:
            self._reserve = over > 0
        self._arm(RESERVED_READ_S if self._reserve else bounds.read_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what it holds."""
        self._let_go()
        super().connection_lost(exc)

    def _let_go(self) -> None:
        self._bounds.idle.pop(self, None)
        self._disarm()
        self._resumed()
        self._give_back()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head that does not end is refused."""
        if self._discarding or self.transport.is_closing():
            return
        self._bounds.idle.pop(self, None)
        self._progress = False
        super().data_received(data)
        if self.parser is None or self._discarding or self.transport.is_closing():
            return
        if self._is_socket:
            return
        self._unfinished = 0 if self._progress else self._unfinished + len(data)
        if self._unfinished > MAX_HEAD_BYTES:
            self._large_head()
            self.send_400_response("")
            return
        try:
            self._charge_head()
        except (BusyError, TooCostlyError) as error:
            status = 503 if isinstance(error, BusyError) else 431
            self._refusal = (status, error.message, "busy")
            self.send_400_response("")
            return
        answered = self.cycle is None or self.cycle.response_complete
        waits = self._in_request or (answered and self.timeout_keep_alive_task is None)
        if self._timer is None and waits:
            self._arm(self._bounds.read_s)

    def handle_websocket_upgrade(self) -> None:
        """The socket's own protocol goes on with it, and no time of a request counts any more."""
        self._is_socket = True
        self._let_go()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """The server stops: what is not whole by then is given up."""
        super().shutdown()
        if self._in_request:
            self._arm(min(STOP_READ_S, self._bounds.read_s))

    # the head

    def on_message_begin(self) -> None:
        """A new request."""
        super().on_message_begin()
        self._in_request = self._in_head = True
        self._head = self._headers = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request line."""
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or one behind a chunked body."""
        self._headers += 1
        self._count_head(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD_BYTES or self._headers > MAX_HEADERS:
            self._large_head()
            raise _RefusedError

    def _large_head(self) -> None:
        told = (
            f"the request's head is too large: {self._headers} headers, {self._head} bytes so far; "
            f"{MAX_HEADERS} headers and {MAX_HEAD_BYTES} bytes with the request line are taken"
        )
        self._refusal = (431, told, "head")

    def _charge_head(self) -> None:
        """Hold what a large head takes, until the request is answered."""
        size = max(self._head, self._unfinished)
        if size <= FREE_HEAD_BYTES or size <= self._charged:
            return
        if self._charge is None:
            self._charge = self._bounds.in_flight.open()
        self._charge.take(size - self._charged)
        self._charged = size

    def _give_back(self) -> None:
        if self._charge is not None:
            self._charge.close()
        self._charge, self._charged = None, 0

    def on_headers_complete(self) -> None:
        """The request begins to be worked on, or waits for the one before."""
        self._progress, self._in_head = True, False
        url = self.url
        path, _, query = url.partition(b"?")
        divided = len(url) > MAX_PARSED_URL and url.startswith(b"/")
        if divided:  # the parser of URLs takes 64 KiB; the task begins after this call
            self.url = path
        super().on_headers_complete()
        if divided:
            self.url, self.scope["query_string"] = url, query.partition(b"#")[0]
        if len(self.pipeline) > MAX_PIPELINED:
            told = f"more than {MAX_PIPELINED} requests sent before the first was answered"
            self._refusal = (400, told, "head")
            raise _RefusedError

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._reserve:
            cycle.keep_alive = False
            if not cycle.scope["path"].endswith(RESERVED_PATHS):
                REFUSED.labels("connections").inc()
                app = _too_many(self._bounds.most)
        super()._start_asgi_task(cycle, app)

    # the body

    def on_chunk_header(self) -> None:
        """The size of a chunk was read."""
        self._progress = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._progress, self._in_request = True, False
        self._disarm()
        super().on_message_complete()

    # answers

    def on_response_complete(self) -> None:
        """The next request may come."""
        self._give_back()
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None and not self._in_request:
            self._bounds.idle[self] = None

    def send_400_response(self, msg: str) -> None:
        """Tell what was refused, or break off where an answer is under way."""
        status, told, reason = self._refusal
        REFUSED.labels(reason).inc()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            before = self._in_head or bool(self.pipeline)  # the answer under way is another's
            if before or cycle.response_started:
                self.transport.abort()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        body = f"{told}\n".encode()
        retry = f"retry-after: {RETRY_AFTER_S}\r\n".encode() if status == 503 else b""
        self.transport.write(
            STATUS_LINE[status]
            + b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body)
            + retry
            + b"connection: close\r\n\r\n"
            + body
        )
        self._close_soon()

    def _close_soon(self) -> None:
        """Listen a moment, so that the client sees the answer rather than a broken connection."""
        self._discarding = True
        self._give_back()
        self._disarm()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def pause_writing(self) -> None:
        """The client takes the answer slower than it comes."""
        super().pause_writing()
        self._untaken = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._bounds.write_s, self._not_taken)

    def resume_writing(self) -> None:
        """The client took most of it."""
        self._resumed()
        super().resume_writing()

    def _resumed(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _not_taken(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left > self._untaken - MIN_TAKEN_BYTES:
            REFUSED.labels("slow").inc()
            self.transport.abort()
            return
        self._untaken = left
        self._write_timer = self.loop.call_later(self._bounds.write_s, self._not_taken)

    # time

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._too_slow, seconds)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self, seconds: float) -> None:
        """The request is not whole in time."""
        self._timer = None
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if answering and (self._in_head or self.pipeline or self.flow.read_paused):
            self._arm(seconds)  # it waits for us
            return
        if not self._in_request or (cycle is not None and not self._in_head and not answering):
            self.transport.close()  # nothing came, or the rest of what is answered already
            return
        told = (
            f"request timed out: it was not whole within {seconds:g}s "
            "(server.http_server_read_timeout)"
        )
        self._refusal = (408, told, "slow")
        self.send_400_response("")


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A socket whose client may not ask for answers that it does not take."""

    def handle_ping(self) -> None:
        """Answer it, unless the answers before were not taken."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()


def _too_many(most: int) -> Callable[..., Awaitable[None]]:
    """An application that says so."""
    body = (
        f"too many connections: server.http_listen_conn_limit ({most}) are open; "
        "try again in a moment\n"
    ).encode()

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(RETRY_AFTER_S).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer
