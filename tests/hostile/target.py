"""How does a hostile client talk? Raw bytes on sockets of its own, and what came back."""

import contextlib
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

DEADLINE_S = 120.0
CLOSED = 0
"""In place of a status: the connection was closed without an answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The last answer on a connection."""

    status: int
    text: str


@dataclass(frozen=True)
class Target:
    """A server to be harmed."""

    port: int

    def open(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def raw(self, pieces: Iterable[bytes]) -> Outcome:
        """Send the pieces until the other side has enough, then read until it closes."""
        try:
            with self.open() as client:
                with contextlib.suppress(ConnectionError):
                    for piece in pieces:
                        client.sendall(piece)
                return read(client)
        except ConnectionError:
            return Outcome(CLOSED, "")

    def send(self, method: str, path: str, body: bytes | None = None, *headers: str) -> Outcome:
        """A well-formed request with a declared length."""
        given = list(headers)
        if body is not None:
            given.append(f"Content-Length: {len(body)}")
        return self.raw([head(method, path, *given, "Connection: close"), body or b""])

    def chunked(self, method: str, path: str, chunks: Iterable[bytes], *headers: str) -> Outcome:
        """A request whose body comes in chunks."""
        begun = head(method, path, "Transfer-Encoding: chunked", "Connection: close", *headers)

        def pieces() -> Iterable[bytes]:
            yield begun
            for chunk in chunks:
                yield b"%x\r\n%b\r\n" % (len(chunk), chunk)
            yield b"0\r\n\r\n"

        return self.raw(pieces())

    def get(self, path: str, **parameters: str) -> Outcome:
        """A GET with parameters."""
        return self.send("GET", f"{path}?{urllib.parse.urlencode(parameters)}")


def head(method: str, path: str, *headers: str) -> bytes:
    """Request line and headers."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode(
        "latin-1"
    )


def read(client: socket.socket) -> Outcome:
    """The answer, once the other side closed."""
    answer = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(1 << 16):
            answer += piece
    first, _, body = bytes(answer).partition(b"\r\n\r\n")
    line = first.split(b"\r\n")[0].split(b" ")
    return Outcome(int(line[1]) if len(line) > 1 else CLOSED, body.decode("utf-8", "replace"))


Attack = Callable[[Target], Sequence[Outcome] | Outcome]


@dataclass(frozen=True, slots=True)
class Input:
    """One way to harm, and the statuses that answers to it may have."""

    name: str
    attack: Attack
    allowed: frozenset[int] = field(default_factory=frozenset)


def hostile(name: str, allowed: Iterable[int], attack: Attack) -> Input:
    """An input; `CLOSED` is always allowed beside refusals of what is large or slow."""
    return Input(name, attack, frozenset(allowed))


def at_once(count: int, attack: Callable[[Target], Outcome]) -> Attack:
    """The same from several clients at the same time."""

    def all_of_them(target: Target) -> Sequence[Outcome]:
        found: list[Outcome] = []
        clients = [
            threading.Thread(target=lambda: found.append(attack(target))) for _ in range(count)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert len(found) == count
        return found

    return all_of_them
