"""Where did the rest of a rotated file go? Finds it again among its neighbours.

Rotation renames a file (`0.log` → `0.log.20250101-000000`) or copies it and cuts it to nothing.
A neighbour is a file in the same directory whose name begins with the file's name and `.` or `-`.
It is the rest if it is the same inode, or begins with the same bytes and is at least as long as
what was read. Compressed neighbours are not read.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promtail_agent.positions import Position

HEAD_BYTES = 256
"""How much of a file's beginning tells it from another; a CRI line's time is within it."""

_COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".z", ".tmp")
_MAX_NEIGHBOURS = 64  # the newest ones; a directory full of old copies is not searched through


Identity = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A file that a rotation may have made."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int

    @property
    def identity(self) -> Identity:
        """What stays when the file is renamed."""
        return self.device, self.inode


def identities(around: Sequence[Neighbour]) -> frozenset[Identity]:
    """Which files they are."""
    return frozenset(neighbour.identity for neighbour in around)


def begins_alike(path: str, head: bytes) -> bool:
    """Whether a file begins as the head does, as far as both go (a copy may be half made)."""
    try:
        with Path(path).open("rb") as file:
            begin = file.read(len(head))
    except OSError:
        return True  # gone already: nothing could be read of it
    size = min(len(begin), len(head))
    return begin[:size] == head[:size]


def neighbours(path: str) -> list[Neighbour]:
    """Rotated files beside a path, oldest change first."""
    file = Path(
        os.path.realpath(path)
    )  # the rotation happens beside the file, not beside a link to it
    out: list[Neighbour] = []
    try:
        with os.scandir(file.parent) as entries:
            for entry in entries:
                if entry.name.startswith((file.name + ".", file.name + "-")):
                    _add(out, entry)
    except OSError:
        return []
    out.sort(key=lambda n: n.modified_ns)
    return out[-_MAX_NEIGHBOURS:]


def _add(out: list[Neighbour], entry: "os.DirEntry[str]") -> None:
    if entry.name.lower().endswith(_COMPRESSED):
        return
    try:
        status = entry.stat()
        if entry.is_file():
            size, modified_ns = status.st_size, status.st_mtime_ns
            out.append(Neighbour(entry.path, status.st_dev, status.st_ino, size, modified_ns))
    except OSError:  # removed since the listing
        return


def same_content(descriptor: int, position: Position) -> bool:
    """Does an open file still begin as it did, and reach as far as was read?"""
    if os.fstat(descriptor).st_size < position.offset:
        return False
    return os.pread(descriptor, len(position.head), 0) == position.head


def find_rest(position: Position, around: Sequence[Neighbour]) -> Neighbour | None:
    """The neighbour that holds what was read up to `position`; same inode goes first."""
    same = [n for n in around if (n.device, n.inode) == (position.device, position.inode)]
    for candidate in (*same, *reversed(around)):
        if candidate.size < position.offset or (not position.head and candidate not in same):
            continue
        if _begins_with(candidate.path, position.head):
            return candidate
    return None


def _begins_with(path: str, head: bytes) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(len(head)) == head
    except OSError:
        return False
