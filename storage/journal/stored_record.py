"""How does a record look on disk? A checksum, a fixed header, tenant, decisions, body.

Version 2, little-endian:

offset  size  field
0       4     magic "NFJ2"
4       4     CRC32C of the journal's id and everything behind this field
8       8     position (uint64)
16      8     commit: position of the first record of the same commit (uint64)
24      8     received_ns (int64)
32      2     codec
34      2     tenant length t
36      4     length of what was decided, d
40      4     body length b
44      t     tenant, UTF-8
        d     what was decided when the push was accepted (ingester/decided.py)
        b     body

Version 1 ("NFJ1") has neither commit nor decisions and a checksum without the id. With the id in
it, bytes that a client pushed are never taken for a record when a reader looks for the next one
behind damage.
"""

import struct

import google_crc32c

from narfi.core.tenant import TenantId
from storage.journal.base import StoredRecord

MAGIC = b"NFJ2"
MAGIC_1 = b"NFJ1"
_HEAD = struct.Struct("<4sI")
_REST = struct.Struct("<QQqHHII")
_REST_1 = struct.Struct("<QqHHI")
MAX_BODY_BYTES = 1 << 30
"""A length above this is taken for damage, before memory is taken."""


def encode_record(record: StoredRecord, journal_id: str) -> list[bytes]:
    """The pieces of a record, for a gathering write (the body is not copied)."""
    tenant = record.tenant.encode()
    rest = _REST.pack(
        record.position,
        record.commit,
        record.received_ns,
        record.codec,
        len(tenant),
        len(record.decided),
        len(record.body),
    )
    head = rest + tenant + record.decided
    checksum = google_crc32c.value(journal_id.encode())
    checksum = google_crc32c.extend(google_crc32c.extend(checksum, head), record.body)
    return [_HEAD.pack(MAGIC, checksum) + head, record.body]


def decode_record(data: memoryview, at: int, journal_id: str) -> tuple[StoredRecord, int] | None:
    """The record at `at` and where the next begins; None when it is torn or damaged."""
    if at + _HEAD.size > len(data):
        return None
    magic, checksum = _HEAD.unpack_from(data, at)
    if magic == MAGIC:
        return _decode_2(data, at + _HEAD.size, checksum, journal_id)
    return _decode_1(data, at + _HEAD.size, checksum) if magic == MAGIC_1 else None


def _decode_2(
    data: memoryview, at: int, checksum: int, journal_id: str
) -> tuple[StoredRecord, int] | None:
    if at + _REST.size > len(data):
        return None
    position, commit, received_ns, codec, *sizes = _REST.unpack_from(data, at)
    end = at + _REST.size + sum(sizes)
    if max(sizes) > MAX_BODY_BYTES or end > len(data):
        return None
    covered = bytes(data[at:end])
    if google_crc32c.extend(google_crc32c.value(journal_id.encode()), covered) != checksum:
        return None
    tenant_end = _REST.size + sizes[0]
    decided_end = tenant_end + sizes[1]
    record = StoredRecord(
        position=position,
        commit=commit,
        tenant=TenantId(covered[_REST.size : tenant_end].decode()),
        received_ns=received_ns,
        codec=codec,
        decided=covered[tenant_end:decided_end],
        body=covered[decided_end:],
    )
    return record, end


def _decode_1(data: memoryview, at: int, checksum: int) -> tuple[StoredRecord, int] | None:
    if at + _REST_1.size > len(data):
        return None
    position, received_ns, codec, tenant_size, body_size = _REST_1.unpack_from(data, at)
    end = at + _REST_1.size + tenant_size + body_size
    if body_size > MAX_BODY_BYTES or end > len(data):
        return None
    covered = bytes(data[at:end])
    if google_crc32c.value(covered) != checksum:
        return None
    split = _REST_1.size + tenant_size
    record = StoredRecord(
        position=position,
        commit=position,
        tenant=TenantId(covered[_REST_1.size : split].decode()),
        received_ns=received_ns,
        codec=codec,
        decided=b"",
        body=covered[split:],
    )
    return record, end
