"""How much of each stream does a query see? What the table says, less what is excluded.

Lengths of excluded lines are stored nowhere: those lines are read, in slices.
"""

import numpy as np

from narfi.core.columns import I64, Mask
from querier.budget import Account
from querier.reading.view import SourceView
from storage.scan import Columns

LINES = Columns(metadata=False)
SLICE_ROWS = 1 << 16
"""Excluded lines that are in memory at once."""


def kept_sizes(view: SourceView, streams: Mask, account: Account) -> tuple[I64, I64]:
    """(rows, line bytes) by stream ordinal; exact for the given streams."""
    table = view.source.table
    rows, sizes = table.rows, table.line_bytes
    excluded = view.excluded_of(streams)
    if not len(excluded):
        return rows, sizes
    rows, sizes = rows.copy(), sizes.copy()
    for first in range(0, len(excluded), SLICE_ROWS):
        account.check()
        batch = view.source.fetch(excluded[first : first + SLICE_ROWS], LINES)
        assert batch.lines is not None
        with account.held(batch.lines.nbytes()):
            np.subtract.at(rows, batch.stream, 1)
            np.subtract.at(sizes, batch.stream, batch.lines.lengths())
    return rows, sizes
