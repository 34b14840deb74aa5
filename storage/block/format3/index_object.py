"""How does the index of a block lie in its object? A mark, a checksum, and the rest compressed.

bytes 0-7    NARFI-3 and a newline
bytes 8-11   CRC32C of all bytes behind, little endian
bytes 12-19  size of what follows when it is decompressed, little endian
bytes 20-    a zstd frame: u32 size of the head, the head (JSON), then the blobs that it lists
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import google_crc32c
import orjson
import pyarrow as pa

from storage.block.footer import DamagedBlockError

MARK = b"NARFI-3\n"
BLOBS = "blobs"
COMPRESSION_LEVEL = 9
MAX_BYTES = 1 << 30
"""Of a decompressed index: nothing larger was ever written."""
_START = struct.Struct("<8sIQ")
_SIZE = struct.Struct("<I")


def encode_index(head: Mapping[str, Any], blobs: Sequence[tuple[str, bytes]]) -> bytes:
    """The object; `head` must have no member `BLOBS`."""
    text = orjson.dumps({**head, BLOBS: [[name, len(data)] for name, data in blobs]})
    content = b"".join([_SIZE.pack(len(text)), text, *(data for _, data in blobs)])
    packed = pa.Codec("zstd", COMPRESSION_LEVEL).compress(content, asbytes=True)
    summed = struct.pack("<Q", len(content)) + packed
    found: bytes = MARK + _SIZE.pack(google_crc32c.value(summed)) + summed
    return found


def decode_index(key: str, data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(head, blobs by name); raises `DamagedBlockError` unless all of it is as it was written."""
    if len(data) <= _START.size or data[: len(MARK)] != MARK:
        raise DamagedBlockError(key, "it is no index")
    _, checksum, size = _START.unpack_from(data)
    if google_crc32c.value(data[_START.size - 8 :]) != checksum:
        raise DamagedBlockError(key, "its checksum is wrong")
    if size > MAX_BYTES:
        raise DamagedBlockError(key, f"it would be {size} bytes large")
    try:
        content = pa.Codec("zstd").decompress(data[_START.size :], size, asbytes=True)
        (length,) = _SIZE.unpack_from(content)
        at = _SIZE.size + length
        head = orjson.loads(content[_SIZE.size : at])
        blobs = {}
        for name, count in head[BLOBS]:
            blobs[name] = content[at : at + count]
            at += count
    except (OSError, ValueError, KeyError, TypeError, struct.error, pa.ArrowException) as error:
        raise DamagedBlockError(key, error) from error
    return head, blobs
