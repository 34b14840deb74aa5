"""Are bodies, heads, time and connections bounded while bytes arrive? A listener, raw sockets."""

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import uvicorn
import uvloop
from websockets.sync.client import connect

from narfi.core.in_flight import InFlight, charge_of
from narfi.server.bodies import REFUSED, BodyLimits, BodyRule, BodyRules
from narfi.server.connections import (
    FREE_HEAD_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_PIPELINED,
    RESERVED,
    BoundedHttp,
    BoundedWebSocket,
    Bounds,
    allowed_connections,
)
from narfi.server.lifecycle import bind

MOST = 100_000
BUDGET = 250_000
DEADLINE_S = 60.0
SHORT_S = 0.5
"""Time limits of the listener whose clients are slow."""


@dataclass(kw_only=True)
class Listener:
    """A server in a thread, and what its application saw."""

    port: int
    in_flight: InFlight
    bounds: Bounds
    held: threading.Event  # the application answers `/hold` when it is set
    inside: list[int]  # sizes of the bodies that came to the application
    queries: list[bytes]

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def send(self, *pieces: bytes) -> bytes:
        """All that is answered until the server closes."""
        with self.open() as client:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    client.sendall(piece)
            return read(client)


def read(client: socket.socket) -> bytes:
    """Until the other side closes."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            answer += piece
    return answer


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.005)


@contextlib.contextmanager
def listening(*, read_s: float = DEADLINE_S, most: int = 100) -> Iterator[Listener]:
    """Answers with the length of the body."""
    in_flight = InFlight(BUDGET)
    bounds = Bounds(
        read_s=read_s, write_s=read_s, idle_s=DEADLINE_S, most=most, in_flight=in_flight
    )
    held, inside, queries = threading.Event(), [], []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.receive":
                    await send({"type": "websocket.send", "text": message["text"]})
            return
        queries.append(scope["query_string"])
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        if scope["method"] == "POST":
            inside.append(len(body))
            assert charge_of(scope)
        if scope["path"] == "/hold":
            await asyncio.to_thread(held.wait)
        told = b"x" * 30_000_000 if scope["path"] == "/long" else str(len(body)).encode()
        headers = [(b"content-length", str(len(told)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    rules = BodyRules(BodyRule(MOST, lambda size, most: f"too large ({size} vs {most})"))
    config = uvicorn.Config(
        BodyLimits(application, rules, in_flight),
        http=partial(BoundedHttp, bounds=bounds),  # type: ignore[arg-type]
        ws=BoundedWebSocket,
        log_config=None,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    listener = bind("127.0.0.1:0")
    port = listener.getsockname()[1]
    thread = threading.Thread(target=lambda: uvloop.run(server.serve(sockets=[listener])))
    thread.start()
    try:
        yield Listener(
            port=port, in_flight=in_flight, bounds=bounds, held=held, inside=inside, queries=queries
        )
    finally:
        held.set()
        server.should_exit = server.force_exit = True
        thread.join()


@pytest.fixture(scope="module")
def shared() -> Iterator[Listener]:
    """With a long time limit."""
    with listening() as found:
        yield found


@pytest.fixture
def listener(shared: Listener) -> Iterator[Listener]:
    """Nothing may be in flight after a test."""
    shared.held.clear()
    shared.inside.clear()
    yield shared
    shared.held.set()
    wait_for(lambda: shared.in_flight.used == 0)


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 70_000, MOST])
@pytest.mark.parametrize("piece", [0, 7, 50_000])
def test_bodies_that_fit_come_whole(listener: Listener, size: int, piece: int) -> None:
    """Declared, or in chunks; twice, since the connection is kept."""
    if piece == 0:
        sent = POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    else:
        full, rest = divmod(size, piece)
        parts = [b"x" * piece] * full + ([b"x" * rest] if rest else [])
        sent = CHUNKED + chunked(*parts) + b"0\r\n\r\n"
    last = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with listener.open() as client:
        client.sendall(sent)
        wait_for(lambda: listener.inside == [size])
        client.sendall(sent + last)
        answer = read(client)
    assert answer.count(b"HTTP/1.1 200 ") == 3
    assert listener.inside == [size, size]


def test_a_declared_length_is_refused_before_the_body_comes(listener: Listener) -> None:
    answer = listener.send(POST + b"Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert answer.endswith(b"too large (100001 vs 100000)\n")
    assert not listener.inside


def test_chunks_are_refused_as_soon_as_they_pass_the_limit(listener: Listener) -> None:
    with listener.open() as client:
        client.sendall(CHUNKED + chunked(b"x" * MOST))
        wait_for(lambda: listener.in_flight.used == MOST)
        client.sendall(chunked(b"x"))
        answer = read(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert not listener.inside


def test_a_refused_client_that_goes_on_sending_sees_the_answer(listener: Listener) -> None:
    pieces = [chunked(b"x" * 50_000)] * 40
    assert listener.send(CHUNKED, *pieces, b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_all_bodies_together_have_a_limit(listener: Listener) -> None:
    held = b"POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * MOST
    with listener.open() as first, listener.open() as second:
        first.sendall(held)
        second.sendall(held)
        wait_for(lambda: len(listener.inside) == 2)
        answer = listener.send(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * MOST)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert b"server.max_inflight_bytes (250000)" in answer
        small = listener.send(POST + b"Connection: close\r\nContent-Length: 5\r\n\r\n12345")
        assert small.endswith(b"5")
        listener.held.set()
        wait_for(lambda: listener.in_flight.used == 0)


def test_a_client_that_goes_away_gives_back_what_it_held(listener: Listener) -> None:
    with listener.open() as client:
        client.sendall(POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000)
        wait_for(lambda: listener.in_flight.used == 50_000)
    wait_for(lambda: listener.in_flight.used == 0)
    assert not listener.inside


GET = b"GET /ready HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [GET + b"a: b\r\n" * MAX_HEADERS + b"\r\n"],
        [GET + b"a: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n"],
        [GET, *[b"x" * 10_000] * 2000],  # a name that does not end
        [b"GET /?" + b"x" * MAX_HEAD_BYTES + b" HTTP/1.1\r\n\r\n"],
        [b"GET /?", *[b"x" * 10_000] * 2000],
        [CHUNKED + chunked(b"x") + b"0\r\n" + b"a: b\r\n" * MAX_HEADERS + b"\r\n"],
        [CHUNKED + b"5;", *[b"x" * 10_000] * 2000],
        [CHUNKED + b"0\r\na:", *[b"x" * 10_000] * 2000],
    ],
    ids=["number", "value", "name", "line", "endless-line", "trailers", "extension", "trailer"],
)
def test_heads_that_are_too_large(listener: Listener, pieces: list[bytes]) -> None:
    assert listener.send(*pieces).startswith(b"HTTP/1.1 431 ")
    assert listener.in_flight.used == 0


def test_heads_as_large_as_grafana_needs(listener: Listener) -> None:
    line = b"GET /?query=" + b"x" * (128 * 1024) + b" HTTP/1.1\r\n"
    answer = listener.send(line + b"a: b\r\n" * 100 + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert listener.queries[-1] == b"query=" + b"x" * (128 * 1024)


def test_large_heads_are_in_flight(listener: Listener) -> None:
    line = b"GET /hold?q=" + b"x" * 100_000
    with listener.open() as first, listener.open() as second:
        first.sendall(line)
        wait_for(lambda: listener.in_flight.used >= 100_000)
        second.sendall(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: listener.in_flight.used >= 200_000)
        assert listener.send(line).startswith(b"HTTP/1.1 503 ")
        assert listener.send(GET[:-2] + b"\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 200 "
        )
    assert len(line) > FREE_HEAD_BYTES


def test_what_is_no_http(listener: Listener) -> None:
    assert listener.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").startswith(
        b"HTTP/1.1 400 "
    )


def test_requests_sent_ahead_are_answered_in_order(listener: Listener) -> None:
    posts = [POST + b"Content-Length: %d\r\n\r\n" % n + b"x" * n for n in (3, 70_000, 5)]
    last = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = listener.send(b"".join(posts) + last)
    assert listener.inside == [3, 70_000, 5]
    assert answer.count(b"HTTP/1.1 200 ") == 4


def test_requests_sent_ahead_are_not_read_without_end(listener: Listener) -> None:
    """While the first waits, neither the number nor the bodies of the next ones grow."""
    with listener.open() as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        client.settimeout(1.0)
        post = POST + b"Content-Length: 90000\r\n\r\n" + b"x" * 90_000
        with pytest.raises((TimeoutError, ConnectionError)):
            client.sendall(post * 1000)
        assert listener.in_flight.used == 0
    small = GET + b"\r\n"
    assert listener.send(b"GET /hold HTTP/1.1\r\n\r\n" + small * (MAX_PIPELINED + 2)) == b""


@pytest.fixture(scope="module")
def slow() -> Iterator[Listener]:
    """With short time limits."""
    with listening(read_s=SHORT_S) as found:
        yield found


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HT",
        GET,
        POST + b"Content-Length: 10\r\n\r\n12345",
        CHUNKED + chunked(b"x") + b"5\r\nab",
        CHUNKED + chunked(b"x"),
    ],
)
def test_half_a_request_ends(slow: Listener, begun: bytes) -> None:
    answer = slow.send(begun)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"server.http_server_read_timeout" in answer
    wait_for(lambda: slow.in_flight.used == 0)


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
def test_a_connection_that_says_nothing_is_closed(slow: Listener, sent: bytes) -> None:
    assert slow.send(sent) == b""


def test_bytes_one_by_one_do_not_make_the_time_longer(slow: Listener) -> None:
    with slow.open() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(CHUNKED)
            until = time.monotonic() + DEADLINE_S
            while time.monotonic() < until:
                client.sendall(chunked(b"x"))
                time.sleep(0.01)
        assert time.monotonic() < until


def test_a_slow_answer_is_no_slow_request(slow: Listener) -> None:
    slow.held.clear()
    with slow.open() as client:
        client.sendall(
            b"POST /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"
        )
        client.settimeout(SHORT_S * 3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        slow.held.set()
        client.settimeout(DEADLINE_S)
        assert read(client).endswith(b"2")


def test_an_answer_that_is_not_taken_is_given_up(slow: Listener) -> None:
    with slow.open() as client:
        refused = REFUSED.labels("slow")._value
        before = refused.get()
        client.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: refused.get() > before)  # nothing is read meanwhile
        assert len(read(client)) < 30_000_000


def test_beyond_the_limit_of_connections_ready_is_answered() -> None:
    with listening(most=3) as found, contextlib.ExitStack() as stack:
        half = [stack.enter_context(found.open()) for _ in range(3)]
        for client in half:
            client.sendall(GET)
        wait_for(
            lambda: found.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 503 ")
        )
        ready = found.send(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ready.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in ready
        more = [stack.enter_context(found.open()) for _ in range(RESERVED)]
        wait_for(lambda: found.send(GET) == b"")  # reset: even the reserve is used
        for client in more:
            client.close()
        wait_for(lambda: found.send(GET + b"\r\n").startswith(b"HTTP/1.1 200 "))


def test_an_idle_connection_gives_way() -> None:
    with listening(most=2) as found, found.open() as first, found.open() as second:
        for client in (first, second):
            client.sendall(GET + b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        wait_for(lambda: len(found.bounds.idle) == 2)
        answer = found.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert read(first) == b""
        second.sendall(GET + b"\r\n")
        assert second.recv(1000).count(b"HTTP/1.1 200 ") == 1


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "found"),
    [
        (100_000, 100_000, 2000, 2000),
        (1024, 100_000, 2000, 2000),  # raised
        (300, 300, 2000, RESERVED),
        (1024, 1024, 2000, 1024 - 256 - RESERVED),
        (5000, 5000, 0, 5000 - 256 - RESERVED),
    ],
)
def test_open_files_bound_connections(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, found: int
) -> None:
    limits = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(0, new[0]))
    assert allowed_connections(wanted) == found


def test_a_socket_outlives_the_time_of_a_request() -> None:
    with listening(read_s=0.3) as found, connect(f"ws://127.0.0.1:{found.port}/") as client:
        for _ in range(2):
            time.sleep(0.6)
            client.send("still there")
            assert client.recv(timeout=DEADLINE_S) == "still there"
