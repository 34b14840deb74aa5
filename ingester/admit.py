"""Is the body something we read, and small enough? Media types and sizes, before memory is taken.

Snappy says its size in the first bytes; gzip and deflate are inflated piece by piece up to the
limit (reference/http-api.md §1.1). The transport has bounded the body as it was sent.
"""

import re
import zlib
from dataclasses import dataclass, field
from enum import Enum

import pyarrow as pa
from cramjam import DecompressionError, snappy

from ingester.body_memory import body_memory
from ingester.errors import BodyTooLargeError, MediaTypeError
from narfi.core.columns import U8
from narfi.core.in_flight import FREE, Charge
from narfi.core.labels import quote
from narfi.core.wire.push import PushFormatError

PIECE = 1 << 20
INPUT_PIECE = 1 << 16
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
class Room:
    """What a body may become: decompressed bytes, and what it takes of the bytes in flight."""

    most_decompressed: int = 512 * 2**20
    charge: Charge = field(default=FREE)

    def grow(self, size: int, by: int) -> None:
        """Take more for a decompressed body of now `size` bytes; raises when there is no room."""
        check_size(size, self.most_decompressed, "decompressed message size")
        self.charge.take(by)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A decompressed body and its format."""

    format: BodyFormat
    body: bytes | bytearray | U8


def admit(body: bytes, content_type: str, content_encoding: str, room: Room) -> Admitted:
    """The decompressed body, or a refusal with Loki's text; `BusyError` without room."""
    media = parse_media_type(content_type)
    if media == "application/json":
        return Admitted(BodyFormat.JSON, _transport(body, content_encoding, room))
    packed: bytes | bytearray = body
    if content_encoding in ("gzip", "deflate"):
        packed = _transport(body, content_encoding, room)
    elif content_encoding not in ("", "snappy"):
        raise MediaTypeError(f"Content-Encoding {quote(content_encoding)} not supported")
    return Admitted(BodyFormat.PROTOBUF, unsnappy(packed, room))


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


def _transport(body: bytes, encoding: str, room: Room) -> bytes | bytearray:
    if encoding in ("", "snappy"):  # JSON under "snappy" is not compressed, as in Loki
        return body
    if encoding == "gzip":
        return decompressed(body, encoding, room)
    if encoding == "deflate":
        return _inflate(body, room)
    raise MediaTypeError(f"Content-Encoding {quote(encoding)} not supported")


def decompressed(body: bytes, codec: str, room: Room) -> bytearray:
    """What a `gzip`, `zstd` or `lz4` stream holds; several behind one another are read as one."""
    if codec == "gzip" and not body.startswith(_GZIP_MAGIC):  # the reader takes zlib's form too
        raise PushFormatError("gzip: invalid header" if body else "EOF")
    out = bytearray()  # grows in place, where joined pieces would be there twice
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), codec) as stream:
            while piece := stream.read(PIECE):
                room.grow(len(out) + len(piece), len(piece))
                out += piece
    except (OSError, pa.ArrowInvalid) as error:
        raise PushFormatError(f"cannot decompress the body: {error}") from error
    return out


def _inflate(body: bytes, room: Room) -> bytearray:
    """Raw deflate (RFC 1951); what stands behind its end is not looked at."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    try:
        for start in range(0, len(body), INPUT_PIECE):
            packed = body[start : start + INPUT_PIECE]
            while not machine.eof and (piece := machine.decompress(packed, PIECE)):
                room.grow(len(out) + len(piece), len(piece))
                out += piece
                packed = machine.unconsumed_tail
            if machine.eof:
                break
    except zlib.error as error:
        raise PushFormatError(f"cannot decompress the body: {error}") from error
    if not machine.eof:
        raise PushFormatError("unexpected EOF")
    return out


def unsnappy(body: bytes | bytearray, room: Room) -> U8:
    """A raw snappy block, decompressed; its declared size is checked first."""
    size = _declared_size(body)
    check_size(size, room.most_decompressed, "decompressed message size")
    # the densest element yields 64 bytes for 3: a larger claim is damage, not data
    if size > 24 * len(body) + 64:
        raise PushFormatError("snappy: corrupt input")
    room.grow(size, size)
    found = body_memory(size)
    try:
        written = snappy.decompress_raw_into(body, found.data)  # without the GIL
    except DecompressionError as error:
        raise PushFormatError("snappy: corrupt input") from error
    if written != size:
        raise PushFormatError("snappy: corrupt input")
    return found


def _declared_size(body: bytes | bytearray) -> int:
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return size
        shift += 7
    raise PushFormatError("snappy: corrupt input")
