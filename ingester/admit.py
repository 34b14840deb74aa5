"""Is the body something we read, and small enough? Media types and sizes, before memory is taken.

Snappy says its size in the first bytes; gzip and deflate are inflated piece by piece up to the
limit (reference/http-api.md §1.1).
"""

import re
import zlib
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from ingester.errors import BodyTooLargeError, MediaTypeError
from narfi.core.labels import quote
from narfi.core.wire.push import PushFormatError

MAX_BODY_BYTES = 100 * 1024 * 1024
MAX_DECOMPRESSED_BYTES = 512 * 1024 * 1024
PIECE = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PARAMETER = re.compile(
    rf""";[ \t]*({_TOKEN.pattern})[ \t]*=[ \t]*(?:{_TOKEN.pattern}|"(?:[^"\\]|\\.)*")[ \t]*"""
)


class BodyFormat(Enum):
    """How the (decompressed) body is written."""

    JSON = "json"
    PROTOBUF = "protobuf"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A decompressed body and its format."""

    format: BodyFormat
    body: bytes | pa.Buffer


def admit(body: bytes, content_type: str, content_encoding: str) -> Admitted:
    """The decompressed body, or a refusal with Loki's text."""
    check_size(len(body), MAX_BODY_BYTES, "message size")
    media = parse_media_type(content_type)
    if media == "application/json":
        return Admitted(BodyFormat.JSON, _transport(body, content_encoding))
    if content_encoding in ("gzip", "deflate"):
        body = _transport(body, content_encoding)
    elif content_encoding not in ("", "snappy"):
        raise MediaTypeError(f"Content-Encoding {quote(content_encoding)} not supported")
    return Admitted(BodyFormat.PROTOBUF, unsnappy(body))


def check_size(size: int, most: int, what: str) -> None:
    """Refuse a size above the limit (413)."""
    if size > most:
        message = f"request body too large: {what} too large than max ({size} vs {most})"
        raise BodyTooLargeError(message)


def parse_media_type(text: str) -> str:
    """The lower-case type without parameters; Go's texts when it is none."""
    media, _, parameters = text.partition(";")
    media = media.strip().lower()
    if not media:
        raise MediaTypeError("mime: no media type")
    major, slash, minor = media.partition("/")
    if not _TOKEN.fullmatch(major):
        raise MediaTypeError("mime: expected slash after first token")
    if slash and not minor:
        raise MediaTypeError("mime: expected token after slash")
    if slash and not _TOKEN.fullmatch(minor):
        raise MediaTypeError("mime: unexpected content after media subtype")
    _check_parameters(f";{parameters}")
    return media


def _check_parameters(text: str) -> None:
    """Each is `; name=value`, names differ; a last `;` alone is fine."""
    seen: set[str] = set()
    at = 0
    while text[at:].strip(" \t") not in ("", ";"):
        found = _PARAMETER.match(text, at)
        if found is None:
            raise MediaTypeError("mime: invalid media parameter")
        name = found[1].lower()
        if name in seen:
            raise MediaTypeError("mime: duplicate parameter name")
        seen.add(name)
        at = found.end()


def _transport(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "snappy"):  # JSON under "snappy" is not compressed, as in Loki
        return body
    if encoding == "gzip":
        return decompressed(body, encoding)
    if encoding == "deflate":
        return _inflate(body)
    raise MediaTypeError(f"Content-Encoding {quote(encoding)} not supported")


def decompressed(body: bytes, codec: str) -> bytes:
    """What a `gzip`, `zstd` or `lz4` stream holds; several behind one another are read as one."""
    if codec == "gzip" and not body.startswith(_GZIP_MAGIC):  # the reader takes zlib's form too
        raise PushFormatError("gzip: invalid header" if body else "EOF")
    pieces: list[bytes] = []
    size = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while piece := stream.read(PIECE):
                size += len(piece)
                check_size(size, MAX_DECOMPRESSED_BYTES, "decompressed message size")
                pieces.append(piece)
    except (OSError, pa.ArrowInvalid) as error:
        raise PushFormatError(f"cannot decompress the body: {error}") from error
    return b"".join(pieces)


def _inflate(body: bytes) -> bytes:
    """Raw deflate (RFC 1951); what stands behind its end is not looked at."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        out = machine.decompress(body, MAX_DECOMPRESSED_BYTES)
    except zlib.error as error:
        raise PushFormatError(f"cannot decompress the body: {error}") from error
    if machine.unconsumed_tail:
        size = MAX_DECOMPRESSED_BYTES + len(machine.unconsumed_tail)
        check_size(size, MAX_DECOMPRESSED_BYTES, "decompressed message size")
    if not machine.eof:
        raise PushFormatError("unexpected EOF")
    return out


def unsnappy(body: bytes) -> pa.Buffer:
    """A raw snappy block, decompressed; its declared size is checked first."""
    size = _declared_size(body)
    check_size(size, MAX_DECOMPRESSED_BYTES, "decompressed message size")
    # the densest element yields 64 bytes for 3: a larger claim is damage, not data
    if size > 24 * len(body) + 64:
        raise PushFormatError("snappy: corrupt input")
    try:
        # pyarrow's codec releases the GIL; cramjam's (behind python-snappy) holds it
        return pa.decompress(body, decompressed_size=size, codec="snappy")
    except (pa.ArrowInvalid, OSError) as error:
        raise PushFormatError("snappy: corrupt input") from error


def _declared_size(body: bytes) -> int:
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size
        shift += 7
    raise PushFormatError("snappy: corrupt input")
