"""What is in one segment file? A header, and records up to bytes that cannot be right.

A segment begins with a header: magic "NFJS", format version, journal id, the first position that
it may hold, and the last durable position before it: records of older segments behind that one were
refused (their segment could not be cut back) and are not replayed. In version 2 a CRC32C follows: a
flipped bit must not make acknowledged records pass for refused ones.

Behind damage, a segment of version 2 is searched for the next whole record. In version 1 the rest
of the segment is lost: there a client could have pushed bytes that look like a record.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import structlog

from storage.journal.base import JournalError, StoredRecord
from storage.journal.reading import read_file
from storage.journal.stored_record import MAGIC, MAGIC_1, decode_record

log = structlog.get_logger(__name__)

SEGMENT_MAGIC = b"NFJS"
FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
SEGMENT_HEADER = struct.Struct("<4sI36sQQ")
CHECKSUM = struct.Struct("<I")
HEADER_BYTES = SEGMENT_HEADER.size + CHECKSUM.size
"""Of version 2; version 1 has no checksum."""
DIGITS = 20


@dataclass(frozen=True, slots=True)
class Header:
    """The first bytes of a segment."""

    version: int
    first: int  # position that the segment begins with
    durable: int  # last durable position before it; what older segments hold behind it was refused


def encode_header(journal_id: str, first: int, durable: int) -> bytes:
    """The first bytes of a segment."""
    owner = journal_id.encode()
    head = SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, owner, first, durable)
    return head + CHECKSUM.pack(google_crc32c.value(head))


def segment_path(directory: Path, first: int) -> Path:
    """Where the segment that begins with this position lies."""
    return directory / f"{first:0{DIGITS}d}.journal"


def segment_position(path: Path) -> int:
    """The first position that a segment may hold, from its name."""
    return int(path.stem)


def segment_paths(directory: Path) -> list[Path]:
    """The segments of a journal, oldest first; files with other names are none of them."""
    return sorted(
        p for p in directory.glob("*.journal") if p.stem.isdecimal() and len(p.stem) == DIGITS
    )


def read_header(path: Path, journal_id: str) -> Header | None:
    """The header; None when it is torn, damaged, or that of another segment.

    Raises `JournalError` for a foreign segment, and for one that cannot be read.
    """
    data = read_file(path, HEADER_BYTES)
    if len(data) < SEGMENT_HEADER.size or data[:4] != SEGMENT_MAGIC:
        return None
    _, version, owner, first, durable = SEGMENT_HEADER.unpack_from(data)
    if not _is_sound(version, data):
        return None
    if version not in READABLE_VERSIONS:
        most = READABLE_VERSIONS[-1]
        raise JournalError(f"{path} has journal format {version}; this version reads 1 to {most}")
    if owner != journal_id.encode():
        found = owner.decode("utf-8", "replace")
        raise JournalError(f"{path} belongs to journal {found}, not {journal_id}")
    return Header(version, first, durable) if first == segment_position(path) else None


def owner_of(path: Path) -> str | None:
    """The journal that a segment says it belongs to; None when its header is damaged."""
    data = read_file(path, HEADER_BYTES)
    if len(data) < SEGMENT_HEADER.size or data[:4] != SEGMENT_MAGIC:
        return None
    _, version, owner, _, _ = SEGMENT_HEADER.unpack_from(data)
    return str(owner.decode("utf-8", "replace")) if _is_sound(version, data) else None


def _is_sound(version: int, data: bytes) -> bool:
    """Whether a header's checksum is right; later versions keep it in its place.

    In version 1 a record begins there, or nothing.
    """
    head, behind = data[: SEGMENT_HEADER.size], data[SEGMENT_HEADER.size :]
    if version == 1:
        return behind in (b"", MAGIC_1)
    return behind == CHECKSUM.pack(google_crc32c.value(head))


def read_records(path: Path, journal_id: str, header: Header | None) -> Iterator[StoredRecord]:
    """The whole records of a segment in order; bytes that are no record are left out."""
    data = read_file(path)  # not mapped: a server may cut the file meanwhile
    if len(data) <= SEGMENT_HEADER.size:
        return
    view = memoryview(data)
    at = SEGMENT_HEADER.size if header is None or header.version == 1 else HEADER_BYTES
    newest = segment_position(path) - 1  # what is older is another segment's
    while at < len(view):
        decoded = decode_record(view, at, journal_id)
        if decoded is not None and decoded[0].position > newest:
            record, at = decoded
            newest = record.position
            yield record
        elif header is not None and header.version == 1:
            return
        else:
            at = data.find(MAGIC, at + 1)
            if at < 0:
                return
