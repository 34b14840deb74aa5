"""Up to where did the journal acknowledge, and up to where may it forget? Two numbers in a file.

The segments alone cannot tell a torn tail, which nobody was promised, from acknowledged records
that went missing; this mark can. It is written after every commit without a sync of its own: after
a crash of the process it is exact, after a power failure it may lag behind, never run ahead.

offset  size  field
0       4     magic "NFJM"
4       4     CRC32C of the rest
8       8     newest position that was durable (uint64)
16      8     newest position that may be forgotten (uint64)
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import structlog

from storage.disk import Disk
from storage.journal.reading import read_file

log = structlog.get_logger(__name__)

MAGIC = b"NFJM"
_HEAD = struct.Struct("<4sI")
_REST = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the journal knew when it was last used."""

    durable: int
    forgotten: int


def read_mark(path: Path) -> Mark | None:
    """The mark; None where there is none (journals of older versions) or it is damaged."""
    try:
        data = read_file(path)
    except FileNotFoundError:
        return None
    mark = parse_mark(data)
    if mark is None:
        log.warning("the journal's mark cannot be read and is made anew", path=str(path))
    return mark


def parse_mark(data: bytes) -> Mark | None:
    """The mark in these bytes; None when they are damaged."""
    if len(data) != _HEAD.size + _REST.size:
        return None
    magic, checksum = _HEAD.unpack_from(data)
    if magic != MAGIC or google_crc32c.value(data[_HEAD.size :]) != checksum:
        return None
    return Mark(*_REST.unpack_from(data, _HEAD.size))


class MarkFile:
    """Keeps the mark; used under the journal's commit order."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._descriptor = disk.open(path)

    def write(self, mark: Mark) -> None:
        """Note it; durable some time later."""
        rest = _REST.pack(mark.durable, mark.forgotten)
        head = _HEAD.pack(MAGIC, google_crc32c.value(rest))
        self._disk.overwrite(self._descriptor, head + rest)

    def sync(self) -> None:
        """Return when what was noted is durable."""
        self._disk.sync(self._descriptor)

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            self._disk.close(self._descriptor)
