"""What is new in one file? Follows a path through rotations, without losing or holding lines.

Nothing is buffered between calls: each read starts at the beginning of the first line that was not
given out yet. Invariant: lines come out in the order in which they were written, the rest of a
rotated file before the first line of its successor. Source: reference/agent.md §7.
"""

import logging
import os
from collections import deque
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from promtail_agent.entry import Generation, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position
from promtail_agent.targets.encoding import encoding_of
from promtail_agent.targets.rotation import (
    HEAD_BYTES,
    Identity,
    Neighbour,
    begins_alike,
    find_rest,
    identities,
    neighbours,
    same_content,
)

_log = logging.getLogger(__name__)

CHUNK_BYTES = 256 << 10
MAX_LINE_BYTES = 4 << 20
"""A longer line is given out in pieces: it must not fill the memory."""
ROTATED_GRACE_S = 0.5
"""How long a renamed file is watched after its successor appeared: the writer may be late."""


@dataclass(slots=True, eq=False)
class _Content:
    """An open file and how far it was read; `live` is the one that the path names."""

    descriptor: int
    generation: Generation
    offset: int
    live: bool
    known: frozenset[Identity] = frozenset()
    """Neighbours that were there when nothing of this content was read yet."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines without their newline; the first starts at `offset`, the last ends at `end`.

    `starts` says where each line starts, where that does not follow from their lengths.
    """

    generation: Generation
    offset: int
    end: int
    lines: list[bytes]
    starts: list[int] | None = None


class FileReader:
    """Reads one path; used by one thread. `labels` are those of the target plus `filename`."""

    def __init__(
        self,
        path: str,
        labels: LabelSet,
        start: Position | None,
        metrics: AgentMetrics,
        codec: str = "",
    ) -> None:
        self.path = path
        self.labels = labels
        self._codec = codec
        self.last_read_s = 0.0
        self._metrics = metrics
        self._contents: deque[_Content] = deque()
        self._failed: int | None = None  # the error of reading that was logged last
        self._unopened: int | None = None  # why the path cannot be opened, where it is there
        self._start: Position | None = None  # where to begin once it can be opened
        self._turns = 0  # generations that were read so far
        self._drained_at_s: float | None = None
        self.missing_since_s: float | None = None
        self._open_live(start)

    @property
    def names(self) -> set[str]:
        """The path, and what it leads to where it is a link: changes are told of that."""
        return {self.path, os.path.realpath(self.path)}

    @property
    def is_turning(self) -> bool:
        """Whether a rotation is under way: to be looked at soon, though nothing changes."""
        return self._drained_at_s is not None or len(self._contents) != 1

    def position(self, generation: Generation, offset: int) -> Position:
        """Where a reader would go on; the head is what is known of the content by now.

        It may be longer than the offset: also content of which nothing is acknowledged yet is found
        again when it was copied and cut.
        """
        return Position(self.path, offset, generation.device, generation.inode, generation.head)

    def start_position(self) -> Position | None:
        """Where reading begins, so that a rotation before the first delivery loses nothing."""
        if not self._contents:
            return None
        first = self._contents[0]
        return self.position(first.generation, first.offset)

    def current_position(self) -> Position | None:
        """Up to where lines were given out; None while the file is not there."""
        if not self._contents:
            return None
        content = self._contents[0]
        return self.position(content.generation, content.offset)

    def read(self, now_s: float) -> Chunk | None:
        """The next lines, or None when there is nothing new; a failing disk is logged."""
        try:
            chunk = self._read(now_s)
            self._failed = None
            return chunk
        except OSError as error:
            if error.errno != self._failed:
                _log.error("cannot read file, will try again path=%s error=%s", self.path, error)
            self._failed = error.errno
            return None

    def _read(self, now_s: float) -> Chunk | None:
        while self._contents:
            content = self._contents[0]
            if content.live and self._was_cut(content):
                continue
            begins = content.live and content.offset == 0
            chunk = self._read_lines(content)
            if chunk is not None and begins and self._came_and_went(content, chunk):
                continue
            if chunk is not None:
                self._drained_at_s = None
                self.last_read_s = now_s
                return chunk
            if content.live:
                return self._after_live(content, now_s)
            rest = self._last_line(content)
            self._drop_first()
            if rest is not None:
                return rest
        self._open_live(self._start)
        if not self._contents and self._unopened is None and self.missing_since_s is None:
            self.missing_since_s = now_s
        return None

    def close(self) -> None:
        """Let go of the files."""
        while self._contents:
            self._drop_first()

    def _drop_first(self) -> None:
        os.close(self._contents.popleft().descriptor)

    # Opening

    def _open_live(self, start: Position | None) -> None:
        """Open the path; with a position, go on there, wherever that content is by now."""
        around = neighbours(self.path)
        live = self._open(self.path, live=True)
        self._start = None
        if live is None and self._unopened is not None:
            self._start = start
            return
        if start is not None and (start.offset > 0 or start.inode):
            if live is not None and self._continues(live, start):
                live.offset = start.offset
                live.generation.head = start.head
            else:
                around = neighbours(self.path)
                self._queue_rest(start, live, around)
        if live is not None:
            live.known = identities(around)
            self._contents.append(live)

    @staticmethod
    def _continues(live: _Content, start: Position) -> bool:
        if not same_content(live.descriptor, start):
            return False
        known = start.inode != 0
        generation = live.generation
        return not known or (generation.device, generation.inode) == (start.device, start.inode)

    def _open(self, path: str, *, live: bool, offset: int = 0) -> _Content | None:
        before, self._unopened = self._unopened, None
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._unopened = error.errno
            if error.errno != before:
                _log.warning("cannot open file, will try again path=%s error=%s", path, error)
            return None
        status = os.fstat(descriptor)
        generation = Generation(self.path, status.st_dev, status.st_ino)
        generation.head = os.pread(descriptor, HEAD_BYTES, 0)
        if live:
            self._metrics.file_bytes[self.path] = status.st_size
        return _Content(descriptor, generation, offset, live)

    def _queue_rest(
        self, start: Position, live: _Content | None, around: Sequence[Neighbour]
    ) -> None:
        """Queue what a rotation moved aside: the file of `start`, and any between it and now."""
        rest = find_rest(start, around)
        if rest is None:
            _log.warning("rotated content not found, lines may be lost path=%s", self.path)
            self._metrics.rotations["rest_not_found"] += 1
            return
        content = self._open(rest.path, live=False, offset=start.offset)
        if content is not None:
            content.generation.head = start.head
            self._contents.append(content)
        skip = {(rest.device, rest.inode)}
        if live is not None:
            skip.add((live.generation.device, live.generation.inode))
        self._queue_between(rest.modified_ns, skip, around)

    def _queue_between(
        self, since_ns: int, skip: Set[Identity], around: Sequence[Neighbour]
    ) -> None:
        """Queue files that came and were moved aside after the one last changed at `since_ns`."""
        for neighbour in around:
            if neighbour.identity not in skip and neighbour.modified_ns >= since_ns:
                content = self._open(neighbour.path, live=False)
                if content is not None:
                    self._contents.append(content)

    # Reading

    def _read_lines(self, content: _Content) -> Chunk | None:
        if self._codec:
            return self._read_encoded(content)
        size = CHUNK_BYTES
        while True:
            data = os.pread(content.descriptor, size, content.offset)
            cut = data.rfind(b"\n")
            if cut >= 0:
                return self._take(content, data[:cut].split(b"\n"), cut + 1)
            if len(data) < size:
                return None
            if size >= MAX_LINE_BYTES:
                self._metrics.mutate("", "", "line_too_long", 0)
                return self._take(content, [data], len(data))
            size *= 4

    def _read_encoded(self, content: _Content) -> Chunk | None:
        """As `_read_lines`, for what is not UTF-8."""
        encoding = encoding_of(self._codec, os.pread(content.descriptor, 4, 0))
        data = os.pread(content.descriptor, MAX_LINE_BYTES, content.offset)
        cut = encoding.last_newline(data)
        if cut < 0:
            if len(data) < MAX_LINE_BYTES:
                return None
            self._metrics.mutate("", "", "line_too_long", 0)
        read = cut + len(encoding.newline) if cut >= 0 else len(data)
        lines, starts = encoding.split(data[:cut] if cut >= 0 else data, content.offset)
        return self._take(content, lines, read, starts)

    def _last_line(self, content: _Content) -> Chunk | None:
        """The end of a finished file that has no newline: its writer will not come back."""
        data = os.pread(content.descriptor, MAX_LINE_BYTES, content.offset)
        if not data:
            return None
        lines = [data]
        if self._codec:
            encoding = encoding_of(self._codec, os.pread(content.descriptor, 4, 0))
            lines, _ = encoding.split(data, content.offset)
        return self._take(content, lines, len(data))

    def _take(
        self,
        content: _Content,
        lines: list[bytes],
        read_bytes: int,
        starts: list[int] | None = None,
    ) -> Chunk:
        generation = content.generation
        if not generation.turn:
            self._turns += 1
            generation.turn = self._turns
        start = content.offset
        if len(generation.head) < HEAD_BYTES:
            end = max(len(generation.head), min(HEAD_BYTES, start + read_bytes))
            generation.head = os.pread(content.descriptor, end, 0)
        content.offset = start + read_bytes
        self._metrics.read_lines[self.path] += len(lines)
        self._metrics.read_bytes[self.path] = content.offset
        return Chunk(generation, start, content.offset, lines, starts)

    # Rotation

    def _was_cut(self, content: _Content) -> bool:
        """Handle copy-truncate: the content is gone from under us, perhaps into a copy."""
        position = self.position(content.generation, content.offset)
        if not position.head or same_content(content.descriptor, position):
            return False
        self._metrics.rotations["truncated"] += 1
        self._contents.popleft()
        content.generation = Generation(
            self.path, content.generation.device, content.generation.inode
        )
        content.offset = 0
        around = neighbours(self.path)
        content.known = identities(around)
        self._queue_rest(position, content, around)
        self._contents.append(content)
        return True

    def _came_and_went(self, content: _Content, chunk: Chunk) -> bool:
        """Handle copies of content that was cut away before anything of it was read.

        `chunk` is the first of the live file. A neighbour that is new since the content was empty,
        and does not begin as the chunk does, was there in between: it comes first.
        """
        around = neighbours(self.path)
        own = (content.generation.device, content.generation.inode)
        head = content.generation.head
        missed = [
            neighbour
            for neighbour in around
            if neighbour.identity not in content.known
            and neighbour.identity != own
            and not begins_alike(neighbour.path, head)
        ]
        if not missed:
            return False
        self._metrics.read_lines[self.path] -= len(chunk.lines)
        self._metrics.read_bytes[self.path] = 0
        self._metrics.rotations["truncated"] += len(missed)
        self._contents.popleft()
        content.generation, content.offset = Generation(self.path, *own), 0
        content.known = identities(around)
        for neighbour in missed:
            moved = self._open(neighbour.path, live=False)
            if moved is not None:
                self._contents.append(moved)
        self._contents.append(content)
        return True

    def _after_live(self, content: _Content, now_s: float) -> Chunk | None:
        """At the end of the live file: has the path got another one?"""
        try:
            status = Path(self.path).stat()
        except OSError:
            if self.missing_since_s is None:
                self.missing_since_s = now_s
            return None
        self.missing_since_s = None
        self._metrics.file_bytes[self.path] = status.st_size
        generation = content.generation
        if (status.st_dev, status.st_ino) == (generation.device, generation.inode):
            return None
        if self._drained_at_s is None:
            self._drained_at_s = now_s
        if now_s - self._drained_at_s < ROTATED_GRACE_S:
            return None
        self._drained_at_s = None
        self._metrics.rotations["renamed"] += 1
        content.live = False
        live = self._open(self.path, live=True)
        skip = {(generation.device, generation.inode)}
        if live is not None:
            skip.add((live.generation.device, live.generation.inode))
        around = neighbours(self.path)
        self._queue_between(os.fstat(content.descriptor).st_mtime_ns, skip, around)
        if live is not None:
            live.known = identities(around)
            self._contents.append(live)
        return self._read(now_s)
