"""What does a push carry? Its body, of a told length or in chunks, compressed or not, bounded."""

import zlib
from email.message import Message
from io import BufferedIOBase

_MAX_HEAD_BYTES = 1024
"""Of the line before a chunk, and of one behind the last."""
_WINDOW_BITS = {"gzip": 31, "deflate": -zlib.MAX_WBITS}
_PLAIN = ("", "snappy", "identity")
"""Snappy is undone by who reads the body: it is of protobuf alone."""


class TooLargeError(ValueError):
    """The body is longer than it may be."""


def read_body(file: BufferedIOBase, headers: Message, most_bytes: int) -> bytes:
    """The body, decompressed; raises `TooLargeError`, or `ValueError` where it is none."""
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        body = _chunks(file, most_bytes)
    else:
        size = headers.get("Content-Length") or "0"
        if not (size.isascii() and size.isdigit()):
            raise ValueError(f"bad Content-Length {size!r}")
        if int(size) > most_bytes:
            raise TooLargeError("request body too large")
        body = file.read(int(size))
    encoding = headers.get("Content-Encoding", "").strip().lower()
    if encoding in _PLAIN:
        return body
    if encoding not in _WINDOW_BITS:
        raise ValueError(f'Content-Encoding "{encoding}" not supported')
    return _inflated(body, _WINDOW_BITS[encoding], most_bytes)


def _chunks(file: BufferedIOBase, most_bytes: int) -> bytes:
    found = bytearray()
    while size := _size(file.readline(_MAX_HEAD_BYTES)):
        if len(found) + size > most_bytes:
            raise TooLargeError("request body too large")
        part = file.read(size)
        if len(part) < size or file.readline(_MAX_HEAD_BYTES).strip():
            raise ValueError("a chunk ends too early or too late")
        found += part
    while file.readline(_MAX_HEAD_BYTES).strip():
        pass  # headers behind the body
    return bytes(found)


def _size(head: bytes) -> int:
    digits = head.partition(b";")[0].strip()
    if not digits or len(digits) > 8:
        raise ValueError("a chunk without a size")
    return int(digits, 16)


def _inflated(body: bytes, window_bits: int, most_bytes: int) -> bytes:
    machine = zlib.decompressobj(window_bits)
    try:
        found = machine.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise ValueError(f"cannot decompress the body: {error}") from error
    if len(found) > most_bytes:
        raise TooLargeError("decompressed request body too large")
    if not machine.eof:
        raise ValueError("unexpected EOF")
    return found
