"""Which rows are equal in several columns of codes? Codes are combined to one number per row.

No Python object per row: codes are digits of one number, and the numbers that occur
are counted through. Invariant: two rows have the same number exactly when all their codes
are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64

LOOKUP_LIMIT = 1 << 16
"""Up to this many combinations a lookup table is used instead of sorting."""


@dataclass(frozen=True, slots=True)
class Combined:
    """Rows by their codes."""

    numbers: I32  # of each row, from 0
    first: I64  # for each number, the first row that has it


def combine(columns: Sequence[tuple[I32, int]], rows: int) -> Combined:
    """Number the combinations of codes, each `-1 <= code < count`: columns as (codes, count)."""
    combined, size = np.zeros(rows, np.int64), 1
    for codes, count in columns:
        if not count:
            continue
        width = count + 1
        if size * width > 1 << 62:
            values, inverse = np.unique(combined, return_inverse=True)
            combined, size = inverse.astype(np.int64), len(values)
        combined = codes + np.int64(1) if size == 1 else combined * width + (codes + 1)
        size *= width
    return count_through(combined, size)


def count_through(numbers: I64 | I32, size: int) -> Combined:
    """Number the numbers `0 <= number < size` that occur, in ascending order."""
    rows = len(numbers)
    if size <= max(LOOKUP_LIMIT, 4 * rows):
        row_of = np.full(size, -1, np.int64)
        row_of[numbers[::-1]] = np.arange(rows - 1, -1, -1)
        used = np.flatnonzero(row_of >= 0)
        if len(used) == size:
            return Combined(numbers.astype(np.int32, copy=False), row_of)
        dense = np.empty(size, np.int32)
        dense[used] = np.arange(len(used), dtype=np.int32)
        return Combined(dense[numbers], row_of[used])
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return Combined(inverse.astype(np.int32), first)
