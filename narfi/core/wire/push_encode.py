"""How does a client build a push body? Snappy-compressed protobuf, written field by field.

Written by hand because lines are bytes: they reach the wire unchanged even where they are not
UTF-8, which generated messages refuse. About twice as fast as they are, and imports no protobuf.
Invariant: for valid UTF-8 the bytes equal what the generated `PushRequest` serialises
(schema: push.proto, reference/http-api.md §1.2).
"""

from collections.abc import Iterable, Sequence

import snappy

PushEntry = tuple[int, bytes, Sequence[tuple[str, str]]]
"""Time in ns since the epoch, the line, structured metadata as name and value pairs."""

_NS_PER_S = 1_000_000_000
# Lengths under 2^14 come from a table: nearly every line and entry is shorter than 16 KiB.
_SMALL = tuple(
    bytes((n,)) if n < 0x80 else bytes((n & 0x7F | 0x80, n >> 7)) for n in range(1 << 14)
)
_SMALL_LIMIT = 1 << 14
# Fourteen bits that more bits follow: times are put together of these.
_MORE = tuple(bytes((n & 0x7F | 0x80, n >> 7 | 0x80)) for n in range(1 << 14))
_LOW = _SMALL_LIMIT - 1


def encode_push(streams: Iterable[tuple[str, Iterable[PushEntry]]]) -> bytes:
    """The body of `POST /loki/api/v1/push`: a snappy block around `encode_push_request`."""
    return bytes(snappy.compress(encode_push_request(streams)))


def encode_push_request(streams: Iterable[tuple[str, Iterable[PushEntry]]]) -> bytes:
    """A serialised `logproto.PushRequest`; labels are selector text such as `{a="b"}`.

    Streams and entries keep their order; times must be inside what a Timestamp holds.
    """
    out: list[bytes] = []
    for labels, entries in streams:
        body = _encode_stream(labels, entries)
        out += (b"\x0a", varint(len(body)), body)
    return b"".join(out)


def _encode_stream(labels: str, entries: Iterable[PushEntry]) -> bytes:
    text = labels.encode("utf-8", "surrogateescape")
    out = [b"\x0a", varint(len(text)), text] if text else []
    append = out.append
    small = _SMALL
    # Neighbouring lines mostly share their second: its field is built once.
    last_s: int | None = None
    second = b""
    for ts_ns, line, metadata in entries:
        seconds, nanos = divmod(ts_ns, _NS_PER_S)
        if seconds != last_s:
            second = b"\x08" + varint(seconds) if seconds else b""
            last_s = seconds
        if nanos >= 1 << 28:
            time = b"%b\x10%b%b%b" % (
                second,
                _MORE[nanos & _LOW],
                _MORE[nanos >> 14 & _LOW],
                small[nanos >> 28],
            )
        else:
            time = second + b"\x10" + varint(nanos) if nanos else second
        head = b"\x0a" + small[len(time)] + time
        if line:
            size = len(line)
            head += b"\x12" + (small[size] if size < _SMALL_LIMIT else varint(size))
        tail = _encode_metadata(metadata) if metadata else b""
        size = len(head) + len(line) + len(tail)
        append(b"\x12" + (small[size] if size < _SMALL_LIMIT else varint(size)) + head)
        append(line)
        if tail:
            append(tail)
    return b"".join(out)


def _encode_metadata(metadata: Sequence[tuple[str, str]]) -> bytes:
    out = []
    for name, value in metadata:
        pair = _string_field(b"\x0a", name) + _string_field(b"\x12", value)
        out.append(b"\x1a" + varint(len(pair)) + pair)
    return b"".join(out)


def _string_field(tag: bytes, text: str) -> bytes:
    if not text:
        return b""
    data = text.encode("utf-8", "surrogateescape")
    return tag + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A protobuf varint; negative numbers take ten bytes (two's complement, 64 bits)."""
    if 0 <= value < _SMALL_LIMIT:
        return _SMALL[value]
    if 0 < value < (1 << 28):
        return _MORE[value & _LOW] + _SMALL[value >> 14]
    if 0 < value < (1 << 42):  # present-day seconds and most nanoseconds
        return _MORE[value & _LOW] + _MORE[value >> 14 & _LOW] + _SMALL[value >> 28]
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
