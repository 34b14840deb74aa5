"""Clients that are slow, half done, or too many."""

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.hostile.inputs.bodies import JSON, PUSH, QUERY
from tests.hostile.server import MOST_CONNECTIONS
from tests.hostile.target import CLOSED, Input, Outcome, Target, head, hostile, read

ENDED = (408, 503, CLOSED)


def half(name: str, sent: bytes, count: int) -> Input:
    """Many clients that send this and no more; each is read until it is closed."""

    def attack(target: Target) -> list[Outcome]:
        with contextlib.ExitStack() as stack:
            clients = []
            for _ in range(count):
                with contextlib.suppress(ConnectionError):
                    client = stack.enter_context(target.open())
                    client.sendall(sent)
                    clients.append(client)
            return [read(client) for client in clients]

    return hostile(name, ENDED, attack)


def dripping(sent: bytes, drop: bytes) -> Iterator[bytes]:
    """A little more from time to time, for a minute if nobody ends it."""
    yield sent
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.05)
        yield drop


CHUNKED = head("POST", PUSH, JSON, "Transfer-Encoding: chunked")
DRIPS = (
    (b"GET /ready HTTP/1.1\r\n", b"a: b\r\n"),
    (CHUNKED, b"1\r\nx\r\n"),
    (head("POST", QUERY, "Content-Length: 1000000"), b"x"),
    (b"", b"\r\n"),
)
"""What is sent first, and then again and again: a header, a body, a form, line ends."""


def drop_by_drop(target: Target) -> list[Outcome]:
    """One client for each."""
    with ThreadPoolExecutor(len(DRIPS)) as clients:
        return list(clients.map(lambda found: target.raw(dripping(*found)), DRIPS))


MANY = MOST_CONNECTIONS - 20
INPUTS = (
    half("half a request line, many", b"GET /rea", MANY),
    half(
        "half a body, many", head("POST", PUSH, JSON, "Content-Length: 1000000") + b"x" * 1000, MANY
    ),
    half("nothing, more than may be", b"", MOST_CONNECTIONS + 10),
    hostile("drop by drop", ENDED, drop_by_drop),
)
