"""What is ready to be sent? Encoded bodies by tenant, and the positions that hold afterwards.

As a spool's frame: size and CRC32C, a JSON head, the bodies.
"""

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c

from narfi.core.wire.push_encode import encode_push_request
from promtail_agent.client.batch import Batch
from promtail_agent.known import Beside
from promtail_agent.positions import Mark, Position

FRAME_HEAD = struct.Struct("<II")
"""Bytes of the payload, CRC32C of it."""
MAX_FRAME_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class TenantBody:
    """A serialised push request, not compressed."""

    tenant: str
    body: bytes
    entries: int
    line_bytes: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """One batch; `token` is the queue's own, to know it again when it is done."""

    tenants: tuple[TenantBody, ...]
    marks: Mapping[str, Mark]
    token: object = None

    @property
    def entries(self) -> int:
        """Entries of all tenants."""
        return sum(tenant.entries for tenant in self.tenants)

    @property
    def line_bytes(self) -> int:
        """Bytes of lines of all tenants."""
        return sum(tenant.line_bytes for tenant in self.tenants)


def seal(batch: Batch) -> Sealed:
    """Encode a batch."""
    return Sealed(
        tuple(
            TenantBody(name, encode_push_request(t.streams.items()), t.entries, t.line_bytes)
            for name, t in batch.tenants.items()
        ),
        batch.marks,
    )


def to_frame(sealed: Sealed) -> bytes:
    """The bytes of a frame."""
    about = {
        "tenants": [[t.tenant, len(t.body), t.entries, t.line_bytes] for t in sealed.tenants],
        "marks": [_mark_row(mark) for mark in sealed.marks.values()],
    }
    head = json.dumps(about).encode()  # not orjson: names of files may be no UTF-8
    payload = b"".join((head, b"\n", *(t.body for t in sealed.tenants)))
    return FRAME_HEAD.pack(len(payload), google_crc32c.value(payload)) + payload


def from_payload(payload: bytes, token: object) -> Sealed:
    """What `to_frame` put into a payload whose CRC is right."""
    head, _, rest = payload.partition(b"\n")
    found = json.loads(head)
    tenants: list[TenantBody] = []
    at = 0
    for name, size, entries, line_bytes in found["tenants"]:
        tenants.append(TenantBody(name, rest[at : at + size], entries, line_bytes))
        at += size
    marks = {row[1]: _mark_of(row) for row in found["marks"]}
    return Sealed(tuple(tenants), marks, token)


def _mark_row(mark: Mark) -> list[object]:
    p = mark.position
    head = base64.b64encode(p.head).decode("ascii")
    beside = None if p.beside is None else p.beside.to_row()
    known = [p.tail.hex(), p.base, beside]
    return [mark.order, p.path, p.offset, p.device, p.inode, head, p.cursor, *known]


def _mark_of(row: list[Any]) -> Mark:
    order, path, offset, device, inode, head, cursor, *known = row
    tail, base, beside = known or ("", 0, None)  # a spool of before has none
    position = Position(
        path=path,
        offset=offset,
        device=device,
        inode=inode,
        head=base64.b64decode(head),
        cursor=cursor,
        tail=bytes.fromhex(tail),
        base=base,
        beside=None if beside is None else Beside.from_row(beside),
    )
    return Mark(order, position)
