"""Where did reading of each file stop, and is this the file? Its first bytes and the line before.

Invariant: a file goes on where it stopped only if its beginning and the line before that place are
what they were; else it is another file, and is read from its beginning.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from narfi.history.files.content import HEAD_BYTES, Content, digest
from narfi.history.page import Cursor

Stat = tuple[int, int, int]
"""Inode, size, modification in ns: the same for a file that nobody touched."""
UNKNOWN: Stat = (0, 0, 0)


@dataclass(slots=True, kw_only=True)
class Stop:
    """Of one file; `run` are the entries of the last times, by digest, as often as they came."""

    part: str
    head: tuple[int, str]
    at: int = 0
    line: tuple[int, str] = (0, "")  # where the line before begins, and its digest
    memory: str = ""
    run: dict[str, int] = field(default_factory=dict)
    done_stat: Stat = UNKNOWN

    def cursor(self, path: Path, *, done: bool) -> Cursor:
        """As the state file has it; the path is for people."""
        known = [self.head, self.at, self.line, self.memory, self.run, self.done_stat]
        return Cursor(json.dumps([*known, str(path)]), done)


class Stops:
    """What an earlier run left, of one group of files."""

    def __init__(self, cursors: Mapping[str, Cursor], group: str) -> None:
        self._group = group
        self._names = 0
        self._by_head: dict[tuple[int, str], list[Stop]] = {}
        self._heads: set[int] = set()
        for part, cursor in cursors.items():
            name, _, number = part.rpartition(" ")
            if name != group:
                continue
            self._names = max(self._names, int(number) + 1)
            head, at, line, memory, run, stat, _ = json.loads(cursor.text)
            stop = Stop(
                part=part,
                head=tuple(head),
                at=at,
                line=tuple(line),
                memory=memory,
                run=run,
                done_stat=tuple(stat),
            )
            self._by_head.setdefault(stop.head, []).append(stop)
            self._heads.add(stop.head[0])

    def find(self, content: Content, head: bytes, stat: Stat) -> Stop:
        """Where to go on with a file, where the content stands then; `done_stat`: it is done."""
        for size in self._heads:
            if size > len(head):
                continue
            stops = self._by_head.get((size, digest(head[:size])), [])
            for stop in stops:
                if stop.done_stat == stat or content.holds(stop.line[0], stop.at, stop.line[1]):
                    stops.remove(stop)  # another file is not the same
                    return stop
                content.rewind()
        size = min(len(head), HEAD_BYTES)
        self._names += 1
        part = f"{self._group} {self._names - 1}"
        return Stop(part=part, head=(size, digest(head[:size])))
