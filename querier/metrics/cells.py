"""Where do cells live while samples arrive? In arrays that grow, each charged before it is taken.

Invariant: an array and its larger copy are both charged while both are there.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querier.budget import Account, QueryMemoryError
from querier.metrics.matrix import F64, Mask2

CELLS_AT_ONCE = 1 << 20
"""Worked on between two looks at the deadline: some milliseconds, and the size of temporaries."""


def series_runs(series: int, steps: int, account: Account) -> Iterator[slice]:
    """All series in runs of about `CELLS_AT_ONCE` cells; looks at the deadline before each."""
    count = max(1, CELLS_AT_ONCE // max(steps, 1))
    for first in range(0, series, count):
        account.check()
        yield slice(first, min(first + count, series))


class Cells:
    """A growing [series, width] array with a fill value."""

    def __init__(self, width: int, dtype: type, fill: float, account: Account) -> None:
        self._fill, self._account = fill, account
        self.array: NDArray[Any] = self._new(0, width, dtype)
        self._used = 0

    def resize(self, series: int) -> None:
        """Make room for so many series; raises `QueryMemoryError`."""
        if series > len(self.array):
            before = self.array
            grown = self._grown(series)
            grown[: len(before)] = before
            self.array = grown
            self._account.release(before.nbytes)
        self._used = max(self._used, series)

    def used(self) -> NDArray[Any]:
        """The cells of the series so far."""
        return self.array[: self._used]

    def _grown(self, series: int) -> NDArray[Any]:
        """Twice the room, or only what is needed where that does not fit."""
        row = self.array.shape[1] * self.array.itemsize
        room = max(series, 2 * len(self.array))
        try:
            self._account.charge(room * row)
        except QueryMemoryError:
            room = series
            self._account.charge(room * row)
        return self._new(room, self.array.shape[1], self.array.dtype)

    def _new(self, rows: int, width: int, dtype: Any) -> NDArray[Any]:
        if self._fill == 0:
            return np.zeros((rows, width), dtype)  # pages come when they are written
        return np.full((rows, width), self._fill, dtype)


def new_cells(series: int, steps: int, account: Account) -> tuple[F64, Mask2]:
    """Values (NaN) and presence (nowhere), charged."""
    account.charge(series * steps * 9)
    return np.full((series, steps), np.nan), np.zeros((series, steps), np.bool_)
