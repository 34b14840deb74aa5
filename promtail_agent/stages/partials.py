"""What is kept of lines that come in parts? By source and stream, until their end comes.

A part waits for so long at most, and so much is kept of a line: what has no end is given out as it
is. Invariant: the place of a kept line is that of its first part, so that positions stay before it.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from promtail_agent.entry import AgentEntry
from promtail_agent.stages.base import HeldFrom, StageContext, oldest

MAX_WAIT_S = 3.0
"""A runtime writes the parts of a line one after the other: what waits longer has lost its end."""
MAX_JOINED_BYTES = 16 << 20
"""A line of more is given out in pieces: it must not fill the memory."""

Join = Callable[[list[bytes]], bytes]


@dataclass(slots=True)
class _Partial:
    first: AgentEntry
    parts: list[bytes]
    line_bytes: int
    changed_s: float


class Partials:
    """Lines without an end; `join` makes a line of its parts, `most` are kept at a time."""

    def __init__(self, context: StageContext, most: int, join: Join = b"".join) -> None:
        self._behind, self._most, self._join = context.behind, most, join
        self._kept: dict[tuple[str, str], _Partial] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def hold(self, entry: AgentEntry, stream: str) -> Iterator[AgentEntry]:
        """Keep a part; yields what has to go for it."""
        key = (_path(entry), stream)
        partial = self._kept.get(key)
        if partial is None:
            if len(self._kept) >= self._most:
                yield from self._give_out(list(self._kept))
            size, now_s = len(entry.line), time.monotonic()
            self._kept[key] = _Partial(entry, [entry.line], size, now_s)
            return
        partial.parts.append(entry.line)
        partial.line_bytes += len(entry.line)
        partial.changed_s = time.monotonic()
        if partial.line_bytes > MAX_JOINED_BYTES:
            yield from self._give_out([key])

    def finish(self, entry: AgentEntry, stream: str) -> AgentEntry:
        """The whole line: the last part's time, the first part's place."""
        partial = self._kept.pop((_path(entry), stream), None)
        if partial is not None:
            entry.line = self._join([*partial.parts, entry.line])
            entry.generation, entry.offset = partial.first.generation, partial.first.offset
        return entry

    def _give_out(self, keys: list[tuple[str, str]]) -> Iterator[AgentEntry]:
        for key in keys:
            partial = self._kept.pop(key)
            partial.first.line = self._join(partial.parts)
            yield partial.first

    def held_from(self, path: str) -> HeldFrom | None:
        """The first part of the oldest unfinished line of a path."""
        if not self._kept:
            return None
        return oldest(p.first for key, p in self._kept.items() if key[0] == path)

    def forget(self, path: str) -> Iterator[AgentEntry]:
        """Unfinished lines of a source that has ended, as they are."""
        return self._give_out([key for key in self._kept if key[0] == path])

    def due(self, now_s: float) -> Iterator[AgentEntry]:
        """Unfinished lines whose end does not come; not while it may be still unread."""
        return self._give_out(
            [
                key
                for key, partial in self._kept.items()
                if key[0] not in self._behind and now_s - partial.changed_s >= MAX_WAIT_S
            ]
        )


def _path(entry: AgentEntry) -> str:
    return entry.generation.path if entry.generation is not None else entry.labels.text
