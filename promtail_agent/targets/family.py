"""Whose is this content? Readers of one path and of its rotated names share what is read already.

A pattern such as `*.log*` matches rotated files too. Each content is read by one reader, under the
name by which it was begun; whoever finds it later under another name goes on where that one ended.
Used by one thread.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Protocol

from promtail_agent.known import Beside, Known, digest
from promtail_agent.positions import Position
from promtail_agent.targets.content import (
    Content,
    holds,
    is_copy,
    is_distinct,
    open_content,
    tail_at,
)
from promtail_agent.targets.rotation import Identity, Neighbour, family_of

MAX_KNOWN = 64
"""So many files beside a path are remembered one by one; those before are by their time."""
_KEPT_GONE = 8
"""So many that are not there now: a file is without a name while it is compressed."""
WHOLE = sys.maxsize
"""As a place: nothing of it is to be read."""


class Member(Protocol):
    """What a family asks of its readers."""

    path: str

    def contents(self) -> Iterable[Content]:
        """All that it has open."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether it knows all contents beside its path that it will ever claim."""
        ...


class Family:
    """The readers of one target's paths that rotate into each other."""

    def __init__(self, saved: Sequence[Position] = ()) -> None:
        """`saved` are positions of the family's paths from before."""
        self.members: list[Member] = []
        self.matched: dict[str, str] = {}
        """Paths of the family that are read for themselves, by where their files are."""
        self._counted: dict[Identity, Known] = {}  # sizes are lines
        self.counting: dict[Identity, str] = {}
        """Those that are being read now, and under which path."""
        self._known: list[Known] = []
        self.forgotten_ns = 0
        """Files that were last written by then were read, and are not remembered one by one."""
        self._saved = {position.path: position for position in saved if position.inode}
        for position in saved:
            if position.beside is not None:
                for known in position.beside.known:
                    self.note(known)
                    self._counted[known.device, known.inode] = known
        for position in saved:
            self.count(position.device, position.inode, position.head, position.offset)

    def add_name(self, path: str) -> None:
        """A path of the family has a reader of its own."""
        folder, name = os.path.split(path)
        self.matched[os.path.join(os.path.realpath(folder), name)] = path  # noqa: PTH118

    # What is read

    def note(self, known: Known, before: Known | None = None) -> None:
        """Nothing before this place is to be read again; `before` was noted of it earlier."""
        if before in self._known:
            self._known.remove(before)
        if known not in self._known:
            self._known.append(known)

    def resumes(self, path: str) -> None:
        """The path's own reader goes on from its saved position."""
        self._saved.pop(path, None)

    def beside(self, around: Sequence[Neighbour], before_ns: int) -> Beside:
        """What a position says: of so many files, the newest; a time stands for the others."""
        there = {n.identity: n.modified_ns for n in around}
        gone = [k for k in self._known if (k.device, k.inode) not in there]
        kept = [k for k in self._known if (k.device, k.inode) in there]
        kept.sort(key=lambda k: there[k.device, k.inode])
        for known in kept[:-MAX_KNOWN]:
            self.forgotten_ns = max(self.forgotten_ns, there[known.device, known.inode])
        self._known = [*gone[-_KEPT_GONE:], *kept[-MAX_KNOWN:]]
        return Beside(tuple(self._known), max(before_ns, self.forgotten_ns))

    def place_in(self, content: Content, around: Sequence[Neighbour] = ()) -> int | None:
        """Up to where a content was read, by any of the family; None where it is new."""
        found = [
            place
            for known in self._known
            if (place := _place_by(known, content, around)) is not None
        ]
        for position in self._saved.values():
            same = (position.device, position.inode) == (content.device, content.inode)
            if (
                position.head
                and holds(content, position.head, position.offset, position.tail)
                and (same or is_distinct(content))
            ):
                found.append(position.offset)
        return max(found, default=None)

    def base_in(self, content: Content) -> int:
        """The place of the first byte of a content that was read, among all of its path."""
        found = [k.base for k in self._known if _place_by(k, content, ()) is not None]
        return max(found, default=0)

    # Compressed files that are read as such, by lines

    def count(self, device: int, inode: int, head: bytes, lines: int) -> None:
        """So many lines of a file that begins so were read."""
        self._counted.pop((device, inode), None)
        self._counted[device, inode] = Known(
            device=device,
            inode=inode,
            size=lines,
            length=len(head),
            head=digest(head),
            tail=b"",
            whole=True,
        )
        while len(self._counted) > MAX_KNOWN:
            del self._counted[next(iter(self._counted))]

    def lines_of(self, device: int, inode: int, head: bytes) -> int | None:
        """How many lines of a file were read, whatever it was called; None where it is new."""
        known = self._counted.get((device, inode))
        if known is None or digest(head[: known.length]) != known.head:
            return None
        return known.size

    def counted(self) -> Beside:
        """What a position says of the files that were counted."""
        return Beside(tuple(self._counted.values()))

    # Who reads it

    def others(self, reader: Member) -> list[Member]:
        """The other readers."""
        return [member for member in self.members if member is not reader]

    def base_of(self, reader: Member) -> Member | None:
        """The reader of the path whose rotations this reader's path is one of."""
        family = family_of(reader.path)
        if family == reader.path:
            return None
        return next((member for member in self.members if member.path == family), None)

    def is_anothers(self, content: Content, reader: Member) -> bool:
        """Whether another reader has this content open, or a copy of it."""
        return any(
            _are_same(content, held) for other in self.others(reader) for held in other.contents()
        )

    def is_awaited(self, content: Content) -> bool:
        """Whether a path that is matched, but not read yet, has its place in this content."""
        positions = [self._saved[path] for path in self.matched.values() if path in self._saved]
        return any(
            (p.device, p.inode) == (content.device, content.inode)
            and holds(content, p.head, p.offset, p.tail)
            for p in positions
        )


def _place_by(known: Known, content: Content, around: Sequence[Neighbour]) -> int | None:
    """Up to where a content was read, by what is known of one."""
    if digest(content.pread(known.length, 0)) != known.head:
        return None
    same = (known.device, known.inode) == (content.device, content.inode)
    if same and known.whole:
        return WHOLE
    if known.size <= 0 or not known.tail or not (same or is_distinct(content)):
        return None
    if tail_at(content, known.size) == known.tail:
        return WHOLE if known.whole else known.size
    length = None if same else content.length()
    if length is not None and length < known.size and _is_begin(content, known, around):
        return WHOLE
    return None


def _are_same(content: Content, held: Content) -> bool:
    if (content.device, content.inode) == (held.device, held.inode):
        return True
    return is_copy(content, held)


def _is_begin(content: Content, known: Known, around: Sequence[Neighbour]) -> bool:
    """Is it a copy of a known content that was made before that had its end?"""
    identity: Identity = known.device, known.inode
    for neighbour in around:
        if neighbour.identity == identity:
            try:
                whole = open_content(neighbour.path)
            except OSError:
                return False
            try:
                return is_copy(content, whole)
            finally:
                whole.close()
    return False
