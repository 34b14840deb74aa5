"""What does a journal entry look like on the way? systemd's Journal Export Format.

An entry is lines `FIELD=text`, or `FIELD`, a 64-bit little-endian size and that many bytes; an
empty line ends it. A field that is too large is left out, never kept in memory.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_FIELD_BYTES = 4 << 20
MAX_FIELDS = 1024
_MAX_NAME = 256
_SKIP = 1 << 16

Fields = dict[str, bytes]


def read_entries(stream: BinaryIO) -> Iterator[Fields]:
    """Entries until the stream ends; a cut last one is not given. Raises `ValueError`."""
    fields: Fields = {}
    while line := stream.readline(MAX_FIELD_BYTES + _MAX_NAME):
        if line == b"\n":
            if fields:
                yield fields
            fields = {}
            continue
        if not line.endswith(b"\n"):
            if len(line) < MAX_FIELD_BYTES:
                return  # the stream ends within a line
            _skip_line(stream)
            continue
        name, equals, value = line[:-1].partition(b"=")
        if not equals:
            found = _binary(stream)
            if found is None:
                continue
            value = found
        if len(fields) < MAX_FIELDS:
            fields[name.decode("ascii", "replace")] = value


def _binary(stream: BinaryIO) -> bytes | None:
    """A field by its size; None where it is too large."""
    (size,) = struct.unpack("<Q", _exactly(stream, 8))
    if size > MAX_FIELD_BYTES:
        left = size + 1
        while left:
            left -= len(_exactly(stream, min(left, _SKIP)))
        return None
    value = _exactly(stream, size)
    if stream.read(1) != b"\n":
        raise ValueError("a binary field does not end with a newline")
    return value


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise ValueError("the stream ends within a field")
    return data


def _skip_line(stream: BinaryIO) -> None:
    while part := stream.readline(_SKIP):
        if part.endswith(b"\n"):
            return
