"""What is in one object of a journal in an object store? A commit, or the seal that ends it.

Keys are `journal/<journal id>/<number>`, 20 digits, numbers without a gap from 1. A commit is what
a segment file holds, a header and records, and a CRC32C of all of it; its records have the
positions number·2¹⁶ + place, so positions ascend over the journal as they do in files. A seal says
that no commit will ever have its number or a later one.

    seal:  magic "NFJE", version (uint32), journal id (36), epoch of who sealed (uint64), CRC32C

Invariant: bytes that are neither are never taken for one of them; they are damage that names the
object.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c

from storage.journal.base import JournalError, Record, StoredRecord, stored_together
from storage.journal.segment import CHECKSUM, DIGITS, HEADER_BYTES, SEGMENT_MAGIC, encode_header
from storage.journal.stored_record import decode_record, encode_record

FOLDER = "journal"
PLACE_BITS = 16
MOST_RECORDS = 1 << PLACE_BITS
"""In one commit: so many places a number has."""
SEAL_MAGIC = b"NFJE"
SEAL_VERSION = 1
_SEAL = struct.Struct("<4sI36sQ")


class DamagedCommitError(JournalError):
    """An object of the journal does not hold what was put into it."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Nothing follows in this journal."""

    epoch: int


def key_of(journal_id: str, number: int) -> str:
    """Where a number of the journal lies."""
    return f"{FOLDER}/{journal_id}/{number:0{DIGITS}d}"


def first_position(number: int) -> int:
    """Of the first record of a commit."""
    return number << PLACE_BITS


def number_of(position: int) -> int:
    """The commit that holds a position."""
    return position >> PLACE_BITS


def encode_commit(journal_id: str, number: int, records: Sequence[Record]) -> bytes:
    """The object that makes these records durable."""
    assert 0 < len(records) <= MOST_RECORDS
    first = first_position(number)
    pieces = [encode_header(journal_id, first, first - 1)]
    for record in stored_together(records, first):
        pieces += encode_record(record, journal_id)
    content = b"".join(pieces)
    return content + CHECKSUM.pack(google_crc32c.value(content))


def encode_seal(journal_id: str, epoch: int) -> bytes:
    """The object that ends a journal."""
    content = _SEAL.pack(SEAL_MAGIC, SEAL_VERSION, journal_id.encode(), epoch)
    return content + CHECKSUM.pack(google_crc32c.value(content))


def decode_object(journal_id: str, number: int, data: bytes) -> list[StoredRecord] | Seal:
    """What it holds; raises `DamagedCommitError`, never gives a part of a commit."""
    content, checksum = data[: -CHECKSUM.size], data[-CHECKSUM.size :]
    if checksum != CHECKSUM.pack(google_crc32c.value(content)):
        raise _damaged(journal_id, number, "its checksum is wrong")
    if content[:4] == SEAL_MAGIC and len(content) == _SEAL.size:
        _, version, owner, epoch = _SEAL.unpack(content)
        if version != SEAL_VERSION or owner != journal_id.encode():
            raise _damaged(journal_id, number, "it is a seal of another journal or version")
        return Seal(epoch)
    if content[:4] != SEGMENT_MAGIC:
        raise _damaged(journal_id, number, "it is no part of a journal")
    if content[:HEADER_BYTES] != encode_header(journal_id, *_bounds(number)):
        raise _damaged(journal_id, number, "it belongs to another journal or number")
    return _records(journal_id, number, memoryview(content))


def _bounds(number: int) -> tuple[int, int]:
    return first_position(number), first_position(number) - 1


def _records(journal_id: str, number: int, content: memoryview) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    at, first = HEADER_BYTES, first_position(number)
    while at < len(content):
        decoded = decode_record(content, at, journal_id)
        if decoded is None or decoded[0].position != first + len(records):
            raise _damaged(journal_id, number, "a record in it cannot be read")
        record, at = decoded
        records.append(record)
    return records


def _damaged(journal_id: str, number: int, reason: str) -> DamagedCommitError:
    return DamagedCommitError(f"object {key_of(journal_id, number)} is damaged: {reason}")
