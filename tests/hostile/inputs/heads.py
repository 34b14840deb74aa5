"""Heads that are too large or malformed, and requests sent ahead."""

from tests.hostile.inputs.bodies import PUSH
from tests.hostile.target import CLOSED, Input, head, hostile

GET = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = head("POST", PUSH, "Transfer-Encoding: chunked")
TEN_MB = [b"x" * (1 << 16)] * 160


def large(name: str, *pieces: bytes) -> Input:
    """Refused as too large."""
    return hostile(name, (431, CLOSED), lambda target: target.raw(pieces))


def malformed(name: str, *pieces: bytes) -> Input:
    """Refused as no HTTP."""
    return hostile(name, (400, CLOSED), lambda target: target.raw(pieces))


INPUTS = (
    large("a header of 10 MB", GET + b"a: ", *TEN_MB, b"\r\n\r\n"),
    large("a header name of 10 MB", GET, *TEN_MB, b": a\r\n\r\n"),
    large("100,000 headers", GET, *[b"a: b\r\n" * 1000] * 100, b"\r\n"),
    large("a request line of 10 MB", b"GET /?", *TEN_MB, b" HTTP/1.1\r\n\r\n"),
    large("a chunk extension of 10 MB", CHUNKED + b"5;", *TEN_MB),
    large("100,000 headers behind the body", CHUNKED + b"0\r\n", *[b"a: b\r\n" * 1000] * 100),
    malformed("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500),
    malformed("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    malformed("a header with NUL", GET + b"a: \0\r\n\r\n"),
    malformed("a folded header", GET + b"a: b\r\n c\r\n\r\n" + b"\0"),
    hostile(
        "100,000 requests sent ahead",
        (200, 400, CLOSED),
        lambda target: target.raw([(GET + b"\r\n") * 1000] * 100 + [b"\0\r\n\r\n"]),
    ),
)
