"""Which contents belong to a path, and in which order are they read? Through rotations and kills.

The path names the live one. Before it come the rest of what the path named earlier, and contents
that were moved aside before anybody looked; what is written to a file after its successor was begun
is late. Invariant: a content is let go only when it is noted up to where it was read.
"""

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from promtail_agent.entry import Generation
from promtail_agent.known import Known
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position
from promtail_agent.targets.content import (
    HEAD_BYTES,
    Content,
    holds,
    is_distinct,
    known_as,
    open_content,
    tail_at,
)
from promtail_agent.targets.family import WHOLE, Family
from promtail_agent.targets.rotation import Identity, find_rest
from promtail_agent.targets.surroundings import ROTATED_GRACE_S, Surroundings, Unread, is_old

_log = logging.getLogger(__name__)

SUCCESSOR_AFTER_S = 0.5
"""A rotated file is quiet for so long before its successor is begun: its writer may be late."""
_MAX_LATE = 16
"""So many rotated files are watched for late lines; those beyond at the next rotation."""
_BASE_STEP = 1 << 20
"""Places of a path's next content begin at a multiple: late lines must not move them."""


@dataclass(slots=True, eq=False, kw_only=True)
class OpenContent:
    """An open content and how far it was read; `live` is the one that the path names."""

    content: Content
    generation: Generation
    offset: int
    live: bool
    tail: bytes = b""
    quiet_s: float | None = None  # since when nothing came, where it is late
    noted: Known | None = None
    base: int | None = None  # as in a position, where it was begun before

    @property
    def identity(self) -> Identity:
        """Device and inode of the file."""
        return self.content.device, self.content.inode

    @property
    def is_cut(self) -> bool:
        """Whether what was read is gone from under us (copy-truncate)."""
        head = self.generation.head
        return bool(head) and not holds(self.content, head, self.offset, self.tail)


class Following:
    """The contents of one path; used by one thread.

    `since_ns`: rotated files that were last written by then are history when the path is new.
    """

    def __init__(
        self,
        *,
        path: str,
        start: Position | None,
        metrics: AgentMetrics,
        family: Family | None,
        since_ns: int | None,
    ) -> None:
        self.path = path
        self._metrics = metrics
        self._family = family if family is not None else Family()
        self._family.members.append(self)
        self._beside = Surroundings(path, self._family)
        self._since_ns = since_ns if since_ns is not None else time.time_ns()
        self.queue: deque[OpenContent] = deque()  # read one after the other; the live one is last
        self.late: list[OpenContent] = []  # read to their end, but still written to, perhaps
        self.is_unopened = False  # the path is there, but cannot be opened
        self._why_unopened = 0
        self._start: Position | None = start  # where to begin once it can be opened
        self._is_new = True  # nothing was opened yet
        self._is_first = False  # the live content is the one with which the path was first seen
        self._unfinished: tuple[int, int, int] | None = None
        self._turns = 0  # generations that were read so far
        self._next_base = 0
        self._drained_at_s: float | None = None
        self._turned_at_s: float | None = None
        self.missing_since_s: float | None = None
        self.open()

    # What others ask

    @property
    def is_turning(self) -> bool:
        """Whether a rotation is under way: to be looked at soon, though nothing changes."""
        busy = self._turned_at_s is not None or self._beside.is_unfinished or bool(self.late)
        return busy or len(self.queue) != 1

    @property
    def is_settled(self) -> bool:
        """Whether all rotated files that are read under this path are claimed."""
        if len(self.queue) != 1 or not self.queue[0].live or self.queue[0].is_cut:
            return False
        try:
            status = Path(self.path).stat()
        except OSError:
            return False
        current = self.queue[0]
        same = current.identity == (status.st_dev, status.st_ino)
        return same and (current.offset > 0 or self._is_first or not self._beside.has_changed)

    def contents(self) -> Iterator[Content]:
        """All that is open."""
        for held in (*self.queue, *self.late):
            yield held.content

    def position(self, generation: Generation, offset: int) -> Position:
        """Where a reader would go on; the head is what is known of the content by now.

        It may be longer than the offset: also content of which nothing is acknowledged yet is found
        again when it was copied and cut.
        """
        tail = b""
        for held in (*self.queue, *self.late):
            if held.generation is generation:
                tail = held.tail if held.offset == offset else tail_at(held.content, offset)
        return Position(
            path=self.path,
            offset=offset,
            device=generation.device,
            inode=generation.inode,
            head=generation.head,
            tail=tail,
            base=generation.base,
            beside=generation.beside,
        )

    def close(self) -> None:
        """Let go of the files."""
        for held in (*self.queue, *self.late):
            held.content.close()
        self.queue.clear()
        self.late.clear()
        if self in self._family.members:
            self._family.members.remove(self)

    # Opening

    def open(self) -> None:
        """Queue what the path names now, behind what was moved aside before that was read."""
        live = self._open_path()
        if live is None and self.is_unopened:
            return
        self._beside.look()
        if self._is_new:
            self._is_new = False
            if self._begin(live):
                return
        for unread in self._unread(live):
            self._queue(unread)
        self._admit(live)

    def _open_path(self) -> OpenContent | None:
        before, self.is_unopened = self._why_unopened, False
        try:
            content = open_content(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.is_unopened, self._why_unopened = True, error.errno or errno.EIO
            if self._why_unopened != before:
                _log.warning("cannot open file, will try again path=%s error=%s", self.path, error)
            return None
        self._why_unopened = 0
        return self._hold(content, live=True)

    def _hold(self, content: Content, *, live: bool) -> OpenContent:
        generation = Generation(path=self.path, device=content.device, inode=content.inode)
        generation.head = content.pread(HEAD_BYTES, 0)
        return OpenContent(content=content, generation=generation, offset=0, live=live)

    def _begin(self, live: OpenContent | None) -> bool:
        """Go on at the position of before; True where the live content is queued already."""
        start, self._start = self._start, None
        if start is None or not (start.offset or start.inode):
            self._is_first = True
            self._beside.remember_history(self._since_ns)
            return False
        self._family.resumes(self.path)
        if start.beside is not None:
            self._beside.before_ns = start.beside.before_ns
            for known in start.beside.known:
                self._family.note(known)
        if live is not None and self._continues(live, start):
            if start.beside is None:
                self._beside.remember_history(time.time_ns())
            _resume(live, start)
            self._queue(live)
            self._add_late(self._held(self._beside.grown(self)))
            return True
        self._queue_rest(start, live)
        return False

    def _continues(self, live: OpenContent, start: Position) -> bool:
        """Is the path's file of now the one of before? Also where it was put there anew."""
        if not holds(live.content, start.head, start.offset, start.tail):
            return False
        if not start.inode or live.content.inode == start.inode:
            return True  # devices may have other numbers since the machine was started
        moved = any(n.inode == start.inode for n in self._beside.around)
        return bool(start.head and start.offset) and not moved and is_distinct(live.content)

    def _queue_rest(self, start: Position, live: OpenContent | None) -> None:
        """Queue the content of a position, which a rotation moved aside."""
        self._next_base = _base_after(start.base, start.offset)
        found = find_rest(start, self._beside.around)
        if found is None:
            if start.beside is None:
                self._beside.remember_history(self._since_ns)
            if start.offset or start.head:
                self._lose("rest_not_found")
            return
        neighbour, content = found
        if start.beside is None:  # saved by an agent that did not note what is beside
            self._beside.remember_history(neighbour.modified_ns - 1)
        is_live = live is not None and live.identity == neighbour.identity
        if is_live or self._family.is_anothers(content, self):
            content.close()
            return
        rest = self._hold(content, live=False)
        _resume(rest, start)
        self._queue(rest)

    def _admit(self, live: OpenContent | None) -> None:
        """Queue the path's file at its place; not yet where another reader is still at it."""
        if live is None:
            return
        place = self._place_of(live)
        if place is None:
            live.content.close()
            return
        live.offset, live.tail = place, tail_at(live.content, place)
        if place:
            live.base = self._family.base_in(live.content)
        self._queue(live)

    def _place_of(self, live: OpenContent) -> int | None:
        content = live.content
        if self._family.is_anothers(content, self):
            return None
        place = self._family.place_in(content, self._beside.around)
        if place != WHOLE and content.is_packed and not self._is_finished(content):
            return None
        if place is not None:
            return min(place, content.length() or 0)
        base = self._family.base_of(self)
        return 0 if base is None or base is self or base.is_settled else None

    def _is_finished(self, content: Content) -> bool:
        """Whether a compressed file is whole, or will never be; looked at once as long as it is."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return False
        mark = status.st_ino, status.st_size, status.st_mtime_ns
        if mark != self._unfinished:
            self._unfinished = None if content.length() is not None else mark
        return self._unfinished is None or is_old(status.st_mtime_ns)

    def _unread(self, live: OpenContent | None) -> list[OpenContent]:
        """Contents beside the path that nobody has read, the oldest first."""
        held = [*self.queue, *self.late, *([live] if live is not None else [])]
        mine, contents = {h.identity for h in held}, [h.content for h in held]
        return self._held(self._beside.unread(self, mine, contents))

    def _held(self, found: Iterable[Unread]) -> list[OpenContent]:
        out: list[OpenContent] = []
        for content, place in found:
            held = self._hold(content, live=False)
            held.offset, held.tail = place, tail_at(content, place)
            if place:
                held.base = self._family.base_in(content)
            out.append(held)
        return out

    def _add_late(self, found: Iterable[OpenContent]) -> None:
        """Contents that are read beside the live one."""
        for held in found:
            self._give_turn(held)
            self.late.append(held)

    # One after the other

    def _queue(self, held: OpenContent) -> None:
        self.queue.append(held)
        if held.live:
            self.missing_since_s = None
            self._metrics.file_bytes[self.path] = held.content.length() or 0
        if len(self.queue) == 1:
            self._begin_content()

    def _begin_content(self) -> None:
        """The first content of the queue is the one whose place positions tell."""
        self._metrics.read_bytes[self.path] = self.queue[0].offset
        if not self.queue[0].generation.turn:
            self._give_turn(self.queue[0])

    def _give_turn(self, held: OpenContent) -> None:
        generation = held.generation
        self._turns += 1
        generation.turn = self._turns
        generation.base = self._next_base if held.base is None else held.base
        if generation.beside is None:
            generation.beside = self._beside.beside()

    @property
    def may_have_begun(self) -> bool:
        """Whether the live content may have predecessors that came and went unseen."""
        return self._beside.has_changed

    def is_missing(self, now_s: float) -> None:
        """Nothing is left to read; note since when the path names no file."""
        there = self.is_unopened or os.path.exists(self.path)  # noqa: PTH110  pathlib raises
        if self.missing_since_s is None and not there:
            self.missing_since_s = now_s

    def let_go(self, now_s: float) -> None:
        """The first content was read to its end; one that may still be written to is late then."""
        held = self.queue.popleft()
        self._next_base = _base_after(held.generation.base, held.offset)
        self.note(held)
        if held.live or self.may_grow(held):
            held.live, held.quiet_s = False, now_s
            self.late.append(held)
        else:
            if held.content.length() is None:
                self._lose("damaged")
            held.content.close()
        if self.queue:
            self._begin_content()

    def may_grow(self, held: OpenContent) -> bool:
        """Whether a file was written so lately that its writer may come back."""
        modified_ns = [n.modified_ns for n in self._beside.around if n.identity == held.identity]
        young = any(time.time_ns() - at_ns < ROTATED_GRACE_S * 1e9 for at_ns in modified_ns)
        return young and not held.content.is_packed

    def end_late(self, held: OpenContent) -> None:
        """A late content has been quiet for long enough."""
        self.late.remove(held)
        held.content.close()

    def is_quiet(self, held: OpenContent, now_s: float) -> bool:
        """Whether nothing will be written to a late content any more."""
        if held.quiet_s is None:
            held.quiet_s = now_s
        return now_s - held.quiet_s >= ROTATED_GRACE_S or len(self.late) > _MAX_LATE

    def note(self, held: OpenContent) -> None:
        """Nothing before the place is read again, whatever the file is called by then."""
        base, packed = held.generation.base, held.content.is_packed
        known = known_as(held.content, held.offset, whole=packed, base=base)
        self._family.note(known, held.noted)
        held.noted = known
        if held in self.late and self.queue:
            self.queue[0].generation.beside = self._beside.beside()

    def _lose(self, reason: str) -> None:
        if reason == "rest_not_found":
            self._metrics.rotations[reason] += 1
        self._metrics.unread_lines[reason] += 1
        _log.warning("lines could not be read path=%s reason=%s", self.path, reason)

    # Rotation

    def turn_to_cut(self) -> None:
        """Copy-truncate: the live file is a new content; the rest of the old one may be a copy."""
        held = self.queue.popleft()
        start = self.position(held.generation, held.offset)
        self._metrics.rotations["truncated"] += 1
        self._beside.look()
        fresh = Generation(path=self.path, device=held.content.device, inode=held.content.inode)
        live = OpenContent(content=held.content, generation=fresh, offset=0, live=True)
        self._queue_rest(start, live)
        for unread in self._unread(live):
            self._queue(unread)
        self._queue(live)

    def came_and_went(self) -> bool:
        """Whether there were contents before the live one, of which nothing is read yet."""
        self._beside.look()
        live = self.queue[0]
        missed = self._unread(live)
        if not missed:
            return False
        self._metrics.rotations["truncated"] += len(missed)
        self.queue.popleft()
        for unread in missed:
            self._queue(unread)
        live.generation = self._hold(live.content, live=True).generation
        self._queue(live)
        return True

    def look_again(self) -> None:
        """Judge what could not be judged before, or was moved aside unseen; it comes late.

        Where the path names no file, no successor will say that contents came and went.
        """
        is_gone = self.missing_since_s is not None and self._beside.has_changed
        if not (self._beside.is_unfinished or is_gone) or not self.queue:
            return
        self._beside.look()
        live = self.queue[-1] if self.queue[-1].live else None
        self._add_late(self._unread(live))

    def has_successor(self, now_s: float) -> bool:
        """At the end of the live content: has the path got another one, and is it time for it?"""
        current = self.queue[0]
        try:
            status = Path(self.path).stat()
        except OSError:
            if self.missing_since_s is None:
                self.missing_since_s = now_s
            return False
        self.missing_since_s = None
        if not current.content.is_packed:
            self._metrics.file_bytes[self.path] = status.st_size
        if current.identity == (status.st_dev, status.st_ino):
            self._turned_at_s = self._drained_at_s = None
            return False
        if self._turned_at_s is None:
            self._turned_at_s = now_s
        if self._drained_at_s is None:
            self._drained_at_s = now_s
        quiet = now_s - self._drained_at_s >= SUCCESSOR_AFTER_S
        if not quiet and now_s - self._turned_at_s < ROTATED_GRACE_S:
            return False
        self._turned_at_s = self._drained_at_s = None
        self._metrics.rotations["renamed"] += 1
        return True

    def has_come(self) -> None:
        """Lines came: the quiet begins anew."""
        self._drained_at_s = None
        self._is_first = False


def _resume(held: OpenContent, start: Position) -> None:
    held.offset, held.tail = start.offset, start.tail
    held.base, held.generation.beside = start.base, start.beside
    held.generation.head = start.head or held.generation.head


def _base_after(base: int, size: int) -> int:
    return ((base + size) // _BASE_STEP + 1) * _BASE_STEP
