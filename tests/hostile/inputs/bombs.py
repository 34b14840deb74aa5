"""Compressed bodies that become large."""

import gzip
import zlib
from functools import cache

import pyarrow as pa
import snappy

from narfi.core.wire.push_encode import varint
from tests.hostile.inputs.bodies import JSON, OTLP, PUSH
from tests.hostile.server import MB, MOST_DECOMPRESSED
from tests.hostile.target import Input, hostile

PROTOBUF = "Content-Type: application/x-protobuf"
SIZE = 256 * MB


@cache
def packed(encoding: str, character: bytes) -> bytes:
    """256 MB of one character."""
    plain = character * MB
    if encoding == "gzip":
        return gzip.compress(plain) * (SIZE // MB)
    if encoding == "deflate":
        machine = zlib.compressobj(wbits=-15)
        return b"".join(machine.compress(plain) for _ in range(SIZE // MB)) + machine.flush()
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, encoding) as stream:
        for _ in range(SIZE // MB):
            stream.write(plain)
    return bytes(sink.getvalue())


def bomb(path: str, kind: str, encoding: str, character: bytes) -> Input:
    """One request; it is read up to the limit."""
    name = f"{encoding} of 256 MB {character!r} as {kind.rpartition('/')[2]} to {path}"
    sent = f"Content-Encoding: {encoding}"
    return hostile(
        name,
        (413,),
        lambda target: target.send("POST", path, packed(encoding, character), kind, sent),
    )


def snappy_body(name: str, body: bytes, *allowed: int) -> Input:
    """A protobuf push."""
    return hostile(name, allowed, lambda target: target.send("POST", PUSH, body, PROTOBUF))


INPUTS = (
    bomb(PUSH, JSON, "gzip", b"\0"),
    bomb(PUSH, JSON, "gzip", b" "),
    bomb(PUSH, JSON, "deflate", b"["),
    bomb(PUSH, PROTOBUF, "gzip", b"\0"),
    bomb(OTLP, JSON, "gzip", b"["),
    bomb(OTLP, PROTOBUF, "zstd", b"\0"),
    bomb(OTLP, PROTOBUF, "lz4", b"\x12"),
    snappy_body("snappy that claims 4 GB", b"\xff\xff\xff\xff\x0f" + b"x" * 1000, 413),
    snappy_body("snappy that claims 16 MB", varint(MOST_DECOMPRESSED) + b"x" * 1000, 400),
    snappy_body("snappy of more than the limit", snappy.compress(b"\0" * (17 * MB)), 413),
    snappy_body("snappy of zeros", snappy.compress(b"\0" * (15 * MB)), 400),
    hostile(
        "gzip in gzip",
        (400,),
        lambda target: target.send(
            "POST", PUSH, gzip.compress(packed("gzip", b"\0")), JSON, "Content-Encoding: gzip"
        ),
    ),
    hostile(
        "a million empty members",
        (400, 413),
        lambda target: target.send(
            "POST", PUSH, gzip.compress(b"") * 150_000, JSON, "Content-Encoding: gzip"
        ),
    ),
)
