"""Protobuf pushes and exports that are malformed, or small and dear."""

import snappy

from narfi.core.wire.push_encode import varint
from tests.hostile.inputs.bodies import OTLP, PUSH
from tests.hostile.inputs.bombs import PROTOBUF
from tests.hostile.server import MB
from tests.hostile.target import Input, hostile


def field(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def push(name: str, content: bytes, *allowed: int) -> Input:
    """A snappy push."""
    body = snappy.compress(content)
    return hostile(
        name, allowed or (400,), lambda target: target.send("POST", PUSH, body, PROTOBUF)
    )


def export(name: str, content: bytes, *allowed: int) -> Input:
    """An OTLP export."""
    return hostile(
        name, allowed or (400,), lambda target: target.send("POST", OTLP, content, PROTOBUF)
    )


def records(content: bytes) -> bytes:
    """An export of what stands in a scope."""
    return field(1, field(2, content))


def nested(depth: int) -> bytes:
    """A value inside lists inside lists."""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return value


LABELS = field(1, b'{a="b"}')
INPUTS = (
    push("empty entries in protobuf", field(1, LABELS + b"\x12\x00" * (7 * MB)), 400, 413),
    push("empty streams in protobuf", b"\x0a\x00" * (7 * MB), 400, 413, 422, 429),
    push(
        "empty metadata in protobuf", field(1, LABELS + field(2, b"\x1a\x00" * (7 * MB))), 400, 413
    ),
    push("a length beyond the body", b"\x0a\xff\xff\xff\xff\x07"),
    push("an endless varint", b"\x0a" + b"\xff" * MB),
    push("groups", b"\x0b" * MB),
    push("an illegal tag", b"\x00" * MB),
    push("an extreme time", field(1, LABELS + field(2, field(1, b"\x08" + varint(2**62))))),
    push(
        "labels of 8 MB",
        field(1, field(1, b'{a="' + b"x" * (8 * MB) + b'"}') + b"\x12\x00"),
        400,
        413,
    ),
    export("empty records", records(b"\x12\x00" * (3 * MB // 2)), 204, 400, 413, 429, 503),
    export(
        "empty attributes", records(field(2, b"2\x00" * (3 * MB // 2))), 204, 400, 413, 429, 503
    ),
    export("deep values", records(field(2, field(5, nested(20_000)))), 400),
    export("a cut export", records(field(2, field(5, field(1, b"x" * MB))))[:-5], 400),
    export("unknown fields", b"\xfa\x07\x00" * MB, 204, 413, 422),
)
