"""Which blocks of a tenant are held in memory, and which of them lie in a range? Arrays of times.

All visible blocks with an entry possible from `since_ns` on are held, none else. A change costs
what has changed and a copy of the arrays; no row is looked at that stays.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64
from storage.catalog.base import BlockRow

Rows = NDArray[np.object_]


class HeldBlocks:
    """The blocks of a tenant, in order of creation and id. Not thread-safe."""

    def __init__(self, rows: Sequence[BlockRow], since_ns: int) -> None:
        """Of all that may hold `since_ns <= ts`, in that order."""
        self.since_ns = since_ns
        self._by_id = {row.block_id: row for row in rows}
        self._rows = _objects(rows)
        self._created = _times(row.created_ns for row in rows)
        self._min_ts = _times(row.min_ts for row in rows)
        self._max_ts = _times(row.max_ts for row in rows)

    def __len__(self) -> int:
        return len(self._rows)

    def within(self, start_ns: int, end_ns: int) -> list[BlockRow]:
        """Those with an entry possible in `[start, end)`; `start` is not before `since_ns`."""
        assert start_ns >= self.since_ns
        found: list[BlockRow] = self._rows[
            (self._max_ts >= start_ns) & (self._min_ts < end_ns)
        ].tolist()
        return found

    def change(self, visible: Iterable[BlockRow], gone: frozenset[str]) -> None:
        """Take in what became visible and leave out what is gone; either may be known already."""
        out = [self._by_id.pop(block_id) for block_id in gone if block_id in self._by_id]
        if out:
            self._take_out(out)
        fresh = {
            row.block_id: row
            for row in visible
            if row.max_ts >= self.since_ns
            and row.block_id not in gone
            and row.block_id not in self._by_id
        }
        if fresh:
            self._by_id |= fresh
            self._put_in(sorted(fresh.values(), key=_key))

    def _take_out(self, rows: Sequence[BlockRow]) -> None:
        at = [self._place(row) for row in rows]
        self._rows = np.delete(self._rows, at)
        self._created = np.delete(self._created, at)
        self._min_ts, self._max_ts = np.delete(self._min_ts, at), np.delete(self._max_ts, at)

    def _put_in(self, rows: Sequence[BlockRow]) -> None:
        at = [self._place(row) for row in rows]
        self._rows = np.insert(self._rows, at, _objects(rows))
        self._created = np.insert(self._created, at, _times(row.created_ns for row in rows))
        self._min_ts = np.insert(self._min_ts, at, _times(row.min_ts for row in rows))
        self._max_ts = np.insert(self._max_ts, at, _times(row.max_ts for row in rows))

    def _place(self, row: BlockRow) -> int:
        """Where the row is, or would be."""
        first = int(np.searchsorted(self._created, row.created_ns, "left"))
        last = int(np.searchsorted(self._created, row.created_ns, "right"))
        alike = self._rows[first:last].tolist()
        return first + bisect_left(alike, row.block_id, key=lambda other: other.block_id)


def _key(row: BlockRow) -> tuple[int, str]:
    return row.created_ns, row.block_id


def _objects(rows: Sequence[BlockRow]) -> Rows:
    held = np.empty(len(rows), object)
    held[:] = rows
    return held


def _times(times: Iterable[int]) -> I64:
    return np.fromiter(times, np.int64)
