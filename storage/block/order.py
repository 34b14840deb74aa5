"""Where are the rows of a block? Timestamps by row, and the row at each place of each section.

Rows are numbered through the whole block, sorted by (stream, ts, tie). A section has rows of one
shape, or plain lines, ascending; all sections one behind the other have each row once. About 16
bytes a row, 8 where one section holds the whole block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from storage.block.footer import DamagedBlockError
from storage.scan import Pieces


@dataclass(frozen=True, slots=True)
class Runs:
    """Places (through all sections) with rows of one stream in one section, ascending."""

    stream: I32
    low: I64
    high: I64


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOrder:
    """Where the rows are."""

    ts: I64  # by row
    rows: I32 | None  # of the sections, one behind the other; None when one holds all rows
    places: I32 | None  # of the rows
    bounds: I64  # first place of each section, and the end
    runs: Runs | None  # None as `rows`

    @property
    def nbytes(self) -> int:
        """Memory."""
        if self.rows is None or self.runs is None:
            return self.ts.nbytes
        return self.ts.nbytes + 2 * self.rows.nbytes + 20 * len(self.runs.low)

    def rows_at(self, places: slice | I64) -> I64:
        """The rows at places."""
        if self.rows is not None:
            return self.rows[places].astype(np.int64)
        if isinstance(places, slice):
            return np.arange(places.start, places.stop, dtype=np.int64)
        return places

    def rows_of(self, section: int) -> I64:
        """All rows of a section."""
        return self.rows_at(slice(*self.bounds[section : section + 2].tolist()))

    def places_of(self, rows: I64) -> I64:
        """Where these rows are."""
        return rows if self.places is None else self.places[rows].astype(np.int64)

    def pieces(self, ordinal: I32, low: I64, high: I64) -> Pieces:
        """The places of the rows `[low, high)` of streams; each in one section, none empty."""
        if self.rows is None or self.runs is None:
            return Pieces(ordinal, low, high).filled()
        number = np.full(int(self.runs.stream.max(initial=-1)) + 1, -1, np.int64)
        number[ordinal] = np.arange(len(ordinal))
        wanted = number[self.runs.stream]
        chosen = np.flatnonzero(wanted >= 0)
        wanted = wanted[chosen]
        first, end = self.runs.low[chosen], self.runs.high[chosen]
        ends = self.rows[first], self.rows[end - 1]
        return Pieces(
            self.runs.stream[chosen],
            _first_behind(self.rows, first, end, ends, low[wanted]),
            _first_behind(self.rows, first, end, ends, high[wanted]),
        ).filled()


def order_of(sections: Sequence[I64 | I32], ts: I64, stream: I32, prefix: str) -> BlockOrder:
    """The order of a block: the rows of each section, and time and stream of each row.

    Raises `DamagedBlockError` when a row is in no section or in two.
    """
    numbers: I64 = np.concatenate([np.zeros(0, np.int64), *sections])
    if not len(numbers) == len(ts) == len(stream) or not _is_each_once(numbers, len(ts)):
        raise DamagedBlockError(prefix, "rows are missing or there twice")
    bounds = np.append(0, np.cumsum([len(rows) for rows in sections], dtype=np.int64))
    owner = stream[numbers]
    starts = np.ones(len(ts), np.bool_)
    starts[1:] = np.diff(owner) != 0
    starts[bounds[:-1]] = True
    ascends = np.ones(len(ts), np.bool_)
    ascends[1:] = np.diff(numbers) > 0
    ascends[bounds[:-1]] = True
    if not ascends.all():
        raise DamagedBlockError(prefix, "rows are not in order")
    if len(sections) == 1:
        return BlockOrder(ts=ts, rows=None, places=None, bounds=bounds, runs=None)
    low = np.flatnonzero(starts)
    runs = Runs(owner[low], low, np.append(low[1:], len(ts)))
    places = np.empty(len(ts), np.int32)
    places[numbers] = np.arange(len(ts), dtype=np.int32)
    rows = numbers.astype(np.int32)
    return BlockOrder(ts=ts, rows=rows, places=places, bounds=bounds, runs=runs)


def _first_behind(rows: I32, low: I64, high: I64, ends: tuple[I32, I32], edge: I64) -> I64:
    """In each run `low : high` of ascending rows the first place at or behind its edge.

    `ends`: the first and the last row of each run.
    """
    before = ends[1] < edge
    low = np.where(before, high, low)
    inside = np.flatnonzero((ends[0] < edge) & ~before)
    if not len(inside):
        return low
    left, right, wanted = low[inside], high[inside], edge[inside]
    while (left < right).any():
        middle = (left + right) // 2
        before = rows[np.minimum(middle, len(rows) - 1)] < wanted
        is_open = left < right
        left = np.where(is_open & before, middle + 1, left)
        right = np.where(is_open & ~before, middle, right)
    low[inside] = left
    return low


def _is_each_once(numbers: I64, size: int) -> bool:
    """Whether the numbers are 0 to size - 1, in any order."""
    if len(numbers) != size or (size and not 0 <= numbers.min() <= numbers.max() < size):
        return False
    return bool((np.bincount(numbers, minlength=size) == 1).all())
