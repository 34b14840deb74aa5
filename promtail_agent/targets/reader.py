"""What is new in one file? Whole lines of a path's contents, one after the other.

Nothing is buffered between calls: each read starts at the beginning of the first line that was not
given out yet. Invariant: lines come out in the order in which they were written, the rest of a
rotated file before the first line of its successor; only what is written to it after that comes
later. Source: reference/agent.md §7.
"""

import logging
import os
from dataclasses import dataclass

from promtail_agent.entry import Generation, LabelSet
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Position
from promtail_agent.targets.content import HEAD_BYTES, tail_at
from promtail_agent.targets.family import Family
from promtail_agent.targets.following import Following, OpenContent
from promtail_agent.targets.lines import Lines, last_line, next_lines

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """Reads one path; used by one thread. `labels` are those of the target plus `filename`.

    `family` is shared with the readers of the path's rotated names; for `since_ns` see `Following`.
    """

    def __init__(
        self,
        *,
        path: str,
        labels: LabelSet,
        start: Position | None,
        metrics: AgentMetrics,
        codec: str = "",
        family: Family | None = None,
        since_ns: int | None = None,
    ) -> None:
        self.path = path
        self.labels = labels
        self._codec = codec
        self.last_read_s = 0.0
        self._metrics = metrics
        self._was_late = False
        self._failed: int | None = None  # the error of reading that was logged last
        self._following = Following(
            path=path, start=start, metrics=metrics, family=family, since_ns=since_ns
        )

    @property
    def names(self) -> set[str]:
        """The path, and what it leads to where it is a link: changes are told of that."""
        return {self.path, os.path.realpath(self.path)}

    @property
    def is_turning(self) -> bool:
        """Whether a rotation is under way: to be looked at soon, though nothing changes."""
        return self._following.is_turning

    @property
    def missing_since_s(self) -> float | None:
        """Since when the path names no file, at the end of what is known of it."""
        return self._following.missing_since_s

    def position(self, generation: Generation, offset: int) -> Position:
        """Where a reader would go on."""
        return self._following.position(generation, offset)

    def position_after(self, chunk: Chunk) -> Position:
        """What holds when everything that was given out so far is delivered.

        Late lines of a file before do not take the position back to it.
        """
        queue = self._following.queue
        if queue and queue[0].generation is not chunk.generation:
            return self.position(queue[0].generation, queue[0].offset)
        return self.position(chunk.generation, chunk.end)

    def start_position(self) -> Position | None:
        """Where reading begins, so that a rotation before the first delivery loses nothing."""
        return self.current_position()

    def current_position(self) -> Position | None:
        """Up to where lines were given out; None while the file is not there."""
        queue = self._following.queue
        return self.position(queue[0].generation, queue[0].offset) if queue else None

    def read(self, now_s: float) -> Chunk | None:
        """The next lines, or None when there is nothing new; a failing disk is logged."""
        try:
            if self._was_late:  # neither may starve the other
                chunk = self._read(now_s) or self._read_late(now_s)
            else:
                chunk = self._read_late(now_s) or self._read(now_s)
            self._failed = None
        except OSError as error:
            if error.errno != self._failed:
                _log.error("cannot read file, will try again path=%s error=%s", self.path, error)
            self._failed = error.errno
            return None
        if chunk is not None:
            self.last_read_s = now_s
            queue = self._following.queue
            self._was_late = bool(queue) and queue[0].generation is not chunk.generation
        return chunk

    def close(self) -> None:
        """Let go of the files."""
        self._following.close()

    def _read(self, now_s: float) -> Chunk | None:
        following = self._following
        while True:
            if not following.queue:
                following.open()
            if not following.queue:
                following.is_missing(now_s)
                return None
            current = following.queue[0]
            if current.live and current.is_cut:
                following.turn_to_cut()
                continue
            lines = next_lines(current.content, current.offset, self._codec)
            looks = lines is not None or following.may_have_begun
            begins = current.live and not current.offset
            if begins and looks and following.came_and_went():
                continue
            if lines is not None:
                following.has_come()
                return self._take(current, lines)
            if current.live and not following.has_successor(now_s):
                following.look_again()
                return None
            chunk = None if current.live else self._finish(current)
            following.let_go(now_s)
            if chunk is not None:
                return chunk

    def _finish(self, held: OpenContent) -> Chunk | None:
        """The end of a rotated file that has no newline, unless its writer may come back."""
        if self._following.may_grow(held):
            return None
        rest = last_line(held.content, held.offset, self._codec)
        return None if rest is None else self._take(held, rest)

    def _read_late(self, now_s: float) -> Chunk | None:
        """What was written to rotated files after their successors were begun."""
        following = self._following
        for held in list(following.late):
            lines = next_lines(held.content, held.offset, self._codec)
            ends = lines is None and following.is_quiet(held, now_s)
            if ends:
                lines = last_line(held.content, held.offset, self._codec)
            chunk = None
            if lines is not None:
                chunk = self._take(held, lines)
                held.quiet_s = now_s
                following.note(held)
            if ends:
                following.end_late(held)
            if chunk is not None:
                return chunk
        return None

    def _take(self, held: OpenContent, lines: Lines) -> Chunk:
        generation, start = held.generation, held.offset
        if lines.is_piece:
            self._metrics.mutate("", "", "line_too_long", 0)
        if len(generation.head) < HEAD_BYTES:
            end = max(len(generation.head), min(HEAD_BYTES, start + lines.read_bytes))
            generation.head = held.content.pread(end, 0)
        held.offset = start + lines.read_bytes
        held.tail = tail_at(held.content, held.offset)
        self._metrics.read_lines[self.path] += len(lines.lines)
        queue = self._following.queue
        if queue and held is queue[0]:
            self._metrics.read_bytes[self.path] = held.offset
        return Chunk(
            generation=generation,
            offset=start,
            end=held.offset,
            lines=lines.lines,
            starts=lines.starts,
        )
