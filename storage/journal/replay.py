"""Which frames are in a segment file? Everything up to the first byte that cannot be right.

A segment begins with a header: magic "NFJS", format version, journal id, the first position that
it may hold, and the last durable position before it: frames of older segments behind that one were
refused (their segment could not be cut back) and are not replayed.
"""

import mmap
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from storage.journal.base import Frame, JournalError
from storage.journal.frame import decode_frame

SEGMENT_MAGIC = b"NFJS"
FORMAT_VERSION = 1
SEGMENT_HEADER = struct.Struct("<4sI36sQQ")

Damage = Callable[[Path, int, int], None]
"""Called with (path, offset of the first unreadable byte, bytes that are lost)."""


def segment_header(journal_id: str, first: int, durable: int) -> bytes:
    """The first bytes of a segment; frames up to `durable` lie in older ones."""
    owner = journal_id.encode()
    return SEGMENT_HEADER.pack(SEGMENT_MAGIC, FORMAT_VERSION, owner, first, durable)


def durable_before(path: Path) -> int:
    """The last durable position before a segment; of a torn header, the one before its first."""
    with path.open("rb") as file:
        head = file.read(SEGMENT_HEADER.size)
    if len(head) < SEGMENT_HEADER.size:
        return segment_position(path) - 1
    return int(SEGMENT_HEADER.unpack(head)[4])


def segment_position(path: Path) -> int:
    """The first position that a segment may hold, from its name."""
    return int(path.stem)


def read_segment(path: Path, journal_id: str, damage: Damage) -> Iterator[Frame]:
    """The frames of one segment in order; damage is reported once and ends it."""
    size = path.stat().st_size
    if size < SEGMENT_HEADER.size:
        if size:
            damage(path, 0, size)
        return
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        view = memoryview(mapped)
        try:
            _check_header(path, view, journal_id)
            at = SEGMENT_HEADER.size
            while at < len(view):
                decoded = decode_frame(view, at)
                if decoded is None:
                    damage(path, at, len(view) - at)
                    return
                frame, at = decoded
                yield frame
        finally:
            view.release()


def _check_header(path: Path, view: memoryview, journal_id: str) -> None:
    magic, version, owner, _, _ = SEGMENT_HEADER.unpack_from(view, 0)
    if magic != SEGMENT_MAGIC:
        raise JournalError(f"{path} is not a journal segment")
    if version != FORMAT_VERSION:
        raise JournalError(f"{path} has journal format {version}; this version reads 1")
    if owner.decode() != journal_id:
        raise JournalError(f"{path} belongs to journal {owner.decode()}, not {journal_id}")
