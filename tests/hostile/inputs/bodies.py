"""Bodies that are too large, lie about their length, or come in odd pieces."""

from collections.abc import Iterator

from tests.hostile.server import MB, MOST_BODY
from tests.hostile.target import CLOSED, Input, Outcome, Target, at_once, head, hostile

PUSH, QUERY, OTLP = "/loki/api/v1/push", "/loki/api/v1/query_range", "/otlp/v1/logs"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
TOO_LARGE = (413, CLOSED)


def blanks(size: int) -> Iterator[bytes]:
    """A body of blanks, piece by piece."""
    for _ in range(size // MB):
        yield b" " * MB


def declared(path: str, length: str) -> Input:
    """Nothing is sent but the claim."""
    return hostile(
        f"declared {length} to {path}",
        TOO_LARGE if length.isdigit() and len(length) < 19 else (400, CLOSED),
        lambda target: target.raw([head("POST", path, f"Content-Length: {length}")]),
    )


def endless(method: str, path: str, kind: str) -> Input:
    """Chunks without an end; far more than the limit."""
    return hostile(
        f"{method} {path} in endless chunks",
        TOO_LARGE,
        lambda target: target.chunked(method, path, blanks(300 * MB), kind),
    )


def framed(name: str, *pieces: bytes) -> Input:
    """A body whose framing is wrong."""
    return hostile(name, (400, CLOSED), lambda target: target.raw(pieces))


def socket_message(target: Target) -> Outcome:
    """A WebSocket that follows a query and sends a message of 8 MB."""
    upgrade = head(
        "GET",
        "/loki/api/v1/tail?query=%7Ba%3D%22b%22%7D",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    frame = b"\x82\xff" + (8 * MB).to_bytes(8, "big") + b"\0" * 4
    return target.raw([upgrade, frame, *[b"x" * MB] * 8])


FULL = b" " * (MOST_BODY - 2) + b"{}"
INPUTS = (
    *(endless("POST", path, JSON) for path in (PUSH, OTLP, "/api/prom/push")),
    endless("POST", QUERY, FORM),
    endless("POST", "/loki/api/v1/labels", FORM),
    endless("PUT", "/loki/api/v1/delete", FORM),
    endless("GET", "/ready", FORM),
    endless("POST", "/flush", FORM),
    endless("POST", "/log_level", FORM),
    endless("POST", "/no/such/route", FORM),
    *(declared(PUSH, length) for length in ("314572800", "9" * 18, "9" * 40, "-1", "0x10", "")),
    declared(QUERY, "104857600"),
    hostile(
        "a body of exactly the limit",
        (422,),
        lambda target: target.send("POST", PUSH, FULL, JSON),
    ),
    hostile(
        "64 bodies of the limit at once",
        (422, 503),
        at_once(64, lambda target: target.send("POST", PUSH, FULL, JSON)),
    ),
    hostile(
        "32 endless bodies at once",
        (413, 503, CLOSED),
        at_once(32, lambda target: target.chunked("POST", QUERY, blanks(64 * MB), FORM)),
    ),
    hostile(
        "chunks of one byte",
        (422, 408, CLOSED),
        lambda target: target.chunked("POST", PUSH, [b" "] * 100_000 + [b"{}"], JSON),
    ),
    framed(
        "length and chunks",
        head("POST", PUSH, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    ),
    framed("two lengths", head("POST", PUSH, "Content-Length: 5", "Content-Length: 6") + b"12345"),
    framed("a huge chunk size", head("POST", PUSH, "Transfer-Encoding: chunked") + b"f" * 40),
    framed(
        "a chunk size that is none", head("POST", PUSH, "Transfer-Encoding: chunked") + b"xyz\r\n"
    ),
    hostile("a large message on a socket", (101, CLOSED), socket_message),
)
