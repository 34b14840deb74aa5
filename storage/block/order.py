"""Where are the rows of a block? Timestamps by row, and the row at each place of each file.

Rows are numbered through the whole block, sorted by (stream, ts, tie). 12 bytes a row, 8 where one
file holds the whole block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from storage.block.footer import DamagedBlockError


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """Where the rows are; `places` has the rows of each file, None when it holds all of them."""

    ts: I64  # by row
    places: tuple[I32 | None, ...]

    @property
    def nbytes(self) -> int:
        """Memory."""
        return self.ts.nbytes + sum(0 if rows is None else rows.nbytes for rows in self.places)

    def rows_at(self, file: int, places: slice | I64) -> I64:
        """The rows at places of a file."""
        rows = self.places[file]
        if rows is not None:
            return rows[places].astype(np.int64)
        if isinstance(places, slice):
            return np.arange(places.start, places.stop, dtype=np.int64)
        return places

    def in_order_of(self, file: int) -> tuple[I64, I64]:
        """(rows, timestamps) at all places of a file."""
        rows = self.rows_of(file)
        return rows, self.ts if self.places[file] is None else self.ts[rows]

    def rows_of(self, file: int) -> I64:
        """All rows of a file."""
        rows = self.places[file]
        return np.arange(len(self.ts), dtype=np.int64) if rows is None else rows.astype(np.int64)

    def first_places(self, file: int, rows: I64) -> I64:
        """For each row, the first place of the file that holds it or a later one."""
        own = self.places[file]
        return rows if own is None else np.searchsorted(own, rows.astype(np.int32))


def order_of(files: Sequence[tuple[I64, I64]], size: int, prefix: str) -> BlockOrder:
    """The order of a block of `size` rows, from (rows, timestamps) at the places of each file.

    Raises `DamagedBlockError` when a row is in no file or in two.
    """
    numbers = np.concatenate([rows for rows, _ in files])
    if not _is_each_once(numbers, size):
        raise DamagedBlockError(prefix, "rows are missing or there twice")
    ts = np.empty(size, np.int64)
    for rows, times in files:
        ts[rows] = times
    places = tuple(None if len(rows) == size else rows.astype(np.int32) for rows, _ in files)
    return BlockOrder(ts, places)


def _is_each_once(numbers: I64, size: int) -> bool:
    """Whether the numbers are 0 to size - 1, in any order."""
    if len(numbers) != size or (size and not 0 <= numbers.min() <= numbers.max() < size):
        return False
    return bool((np.bincount(numbers, minlength=size) == 1).all())
