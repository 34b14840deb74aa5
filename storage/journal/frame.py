"""How does a frame look on disk? A fixed header, the tenant, the body, and a checksum over all.

offset  size  field
0       4     magic "NFJ1"
4       4     CRC32C of everything behind this field
8       8     position (uint64)
16      8     received_ns (int64)
24      2     codec
26      2     tenant length t
28      4     body length b
32      t     tenant, UTF-8
32 + t  b     body
"""

import struct

import google_crc32c

from narfi.core.tenant import TenantId
from storage.journal.base import Frame

MAGIC = b"NFJ1"
_HEAD = struct.Struct("<4sI")
_REST = struct.Struct("<QqHHI")
HEADER_BYTES = _HEAD.size + _REST.size
MAX_BODY_BYTES = 1 << 30
"""A length above this is taken for damage, before memory is taken."""


def encode_frame(frame: Frame) -> list[bytes]:
    """The pieces of a frame, for a gathering write (the body is not copied)."""
    tenant = frame.tenant.encode()
    rest = _REST.pack(frame.position, frame.received_ns, frame.codec, len(tenant), len(frame.body))
    head = rest + tenant
    checksum = google_crc32c.extend(google_crc32c.value(head), frame.body)
    return [_HEAD.pack(MAGIC, checksum) + head, frame.body]


def frame_bytes(tenant: TenantId, body: bytes) -> int:
    """Size on disk."""
    return HEADER_BYTES + len(tenant.encode()) + len(body)


def decode_frame(data: memoryview, at: int) -> tuple[Frame, int] | None:
    """The frame at `at` and where the next begins; None when it is torn or damaged."""
    if at + HEADER_BYTES > len(data):
        return None
    magic, checksum = _HEAD.unpack_from(data, at)
    position, received_ns, codec, tenant_size, body_size = _REST.unpack_from(data, at + _HEAD.size)
    end = at + HEADER_BYTES + tenant_size + body_size
    if magic != MAGIC or body_size > MAX_BODY_BYTES or end > len(data):
        return None
    covered = bytes(data[at + _HEAD.size : end])
    if google_crc32c.value(covered) != checksum:
        return None
    split = _REST.size + tenant_size
    tenant = TenantId(covered[_REST.size : split].decode())
    return Frame(position, tenant, received_ns, codec, covered[split:]), end
