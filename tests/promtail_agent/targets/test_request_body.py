"""Is a body of a push bounded whatever its client says, and read as the server reads it?"""

import gzip
from email.message import Message
from io import BytesIO

import pytest

from promtail_agent.targets.request_body import TooLargeError, read_body

MOST = 1000


def read(sent: bytes, **headers: str) -> bytes:
    """The body of a request that carries these bytes behind its head."""
    head = Message()
    for name, value in headers.items():
        head[name.replace("_", "-")] = value
    return read_body(BytesIO(sent), head, MOST)


def chunked(sent: bytes) -> bytes:
    return read(sent, Transfer_Encoding="chunked")


def test_chunks() -> None:
    assert chunked(b"3\r\nabc\r\nA;x=1\r\n0123456789\r\n0\r\nmore: 1\r\n\r\n") == b"abc0123456789"


@pytest.mark.parametrize("size", [b"-1", b"-5", b"+3", b"0x3", b"1_0", b"", b"g", b"123456789"])
def test_sizes_of_chunks_that_are_none(size: bytes) -> None:
    head, sent = Message(), BytesIO(size + b"\r\n" + b"x" * 10 * MOST + b"\r\n0\r\n\r\n")
    head["Transfer-Encoding"] = "chunked"
    with pytest.raises(ValueError, match="a chunk without a size"):
        read_body(sent, head, MOST)
    assert sent.tell() == len(size) + 2, "nothing behind it was read"


def test_headers_behind_a_body_without_end() -> None:
    with pytest.raises(TooLargeError):
        chunked(b"0\r\n" + b"a: b\r\n" * 10_000)


def test_several_streams_of_gzip_are_one_body() -> None:
    packed = b"".join(gzip.compress(part) for part in (b"one ", b"", b"two"))
    assert read(packed, Content_Length=str(len(packed)), Content_Encoding="gzip") == b"one two"
    many = gzip.compress(b"x" * 600) * 2
    with pytest.raises(TooLargeError):
        read(many, Content_Length=str(len(many)), Content_Encoding="gzip")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_nothing_is_no_stream(encoding: str) -> None:
    with pytest.raises(ValueError, match="unexpected EOF"):
        read(b"", Content_Length="0", Content_Encoding=encoding)
