"""What does a push carry? Its body, of a told length or in chunks, compressed or not, bounded."""

import gzip
import zlib
from email.message import Message
from io import BufferedIOBase, BytesIO

_MAX_HEAD_BYTES = 1024
"""Of the line before a chunk, and of one behind the last."""
_MAX_TRAILERS = 256
"""Headers behind the body."""
_HEX = frozenset(b"0123456789abcdefABCDEF")
_PACKED = ("gzip", "deflate")
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
    if encoding not in _PACKED:
        raise ValueError(f'Content-Encoding "{encoding}" not supported')
    return _inflated(body, encoding, most_bytes)


def _chunks(file: BufferedIOBase, most_bytes: int) -> bytes:
    found = bytearray()
    while size := _size(file.readline(_MAX_HEAD_BYTES)):
        if len(found) + size > most_bytes:
            raise TooLargeError("request body too large")
        part = file.read(size)
        if len(part) < size or file.readline(_MAX_HEAD_BYTES).strip():
            raise ValueError("a chunk ends too early or too late")
        found += part
    for _ in range(_MAX_TRAILERS):
        if not file.readline(_MAX_HEAD_BYTES).strip():
            return bytes(found)
    raise TooLargeError("too many headers behind the body")


def _size(head: bytes) -> int:
    digits = head.partition(b";")[0].strip()
    if not digits or len(digits) > 8 or not _HEX.issuperset(digits):  # a sign is none of them
        raise ValueError("a chunk without a size")
    return int(digits, 16)


def _inflated(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """What a body holds; of gzip several streams behind one another, as the server reads them."""
    try:
        if not body:
            raise EOFError
        if encoding == "gzip":
            with gzip.GzipFile(fileobj=BytesIO(body)) as file:
                found = file.read(most_bytes + 1)
            is_whole = True  # or `EOFError`
        else:
            machine = zlib.decompressobj(-zlib.MAX_WBITS)
            found = machine.decompress(body, most_bytes + 1)
            is_whole = machine.eof
    except EOFError:
        raise ValueError("unexpected EOF") from None
    except (zlib.error, OSError) as error:
        raise ValueError(f"cannot decompress the body: {error}") from error
    if len(found) > most_bytes:
        raise TooLargeError("decompressed request body too large")
    if not is_whole:
        raise ValueError("unexpected EOF")
    return found
