"""How much of each stream does a query see? What the table says, less what is excluded.

Lengths of excluded lines are stored nowhere: those lines are read, in slices, and what they come
to is remembered for the same rows of the same source.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Mask
from querier.budget import Account
from querier.reading.view import SourceView
from storage.cache import ByteCache
from storage.scan import Columns

LINES = Columns(metadata=False)
SLICE_ROWS = 1 << 16
"""Excluded lines that are in memory at once."""
CACHE_BYTES = 8 * 1024 * 1024
"""Of sums that are remembered: three numbers for each stream that has excluded rows."""
ENTRY_BYTES = 300


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of the excluded rows, by stream."""

    ordinals: I64
    rows: I64
    line_bytes: I64


class ExcludedSizes:
    """What excluded rows came to, by source and rows; thread-safe, bounded in bytes."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._found: ByteCache[_Sums] = ByteCache(max_bytes)

    def of(self, view: SourceView, excluded: I64, account: Account) -> _Sums:
        """Sums of excluded rows of a source; read when they are not known."""
        digest = hashlib.blake2b(excluded.tobytes(), digest_size=16).digest()
        key = (view.source.source_id, digest)
        found = self._found.get(key)
        if found is None:
            found = _read(view, excluded, account)
            self._found.put(key, found, 3 * found.rows.nbytes + ENTRY_BYTES)
        return found


def kept_sizes(
    view: SourceView, streams: Mask, account: Account, known: ExcludedSizes
) -> tuple[I64, I64]:
    """(rows, line bytes) by stream ordinal; exact for the given streams."""
    table = view.source.table
    rows, sizes = table.rows, table.line_bytes
    excluded = view.excluded_of(streams)
    if not len(excluded):
        return rows, sizes
    rows, sizes = rows.copy(), sizes.copy()
    sums = known.of(view, excluded, account)
    rows[sums.ordinals] -= sums.rows
    sizes[sums.ordinals] -= sums.line_bytes
    return rows, sizes


def _read(view: SourceView, excluded: I64, account: Account) -> _Sums:
    streams = len(view.source.table)
    rows, sizes = np.zeros(streams, np.int64), np.zeros(streams, np.int64)
    for first in range(0, len(excluded), SLICE_ROWS):
        account.check()
        batch = view.source.fetch(excluded[first : first + SLICE_ROWS], LINES)
        assert batch.lines is not None
        with account.held(batch.lines.nbytes()):
            np.add.at(rows, batch.stream, 1)
            np.add.at(sizes, batch.stream, batch.lines.lengths())
    ordinals = np.flatnonzero(rows)
    return _Sums(ordinals, rows[ordinals], sizes[ordinals])
