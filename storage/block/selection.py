"""Which row groups of a block hold the rows of some streams, and how many of them?

Of whole streams, when a question reaches over the whole block, the answer is always the same; it
is remembered in the cache of columns, since dashboards and alerts ask for the same streams again.
"""

from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import I64, Mask
from storage.batch import StreamTable
from storage.block.order import BlockOrder
from storage.scan import Pieces, RowGroup, ScanRequest

MOST_STREAMS = 1 << 12
"""Of a block whose selections are remembered: the key of one has a byte for each."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selected rows by unit (row group of a file): unit k has `bounds[k] : bounds[k + 1]`."""

    units: I64  # ascending
    bounds: I64  # first piece of each unit, and the end
    pieces: Pieces
    groups: list[RowGroup] = field(default_factory=list, compare=False)
    """The units as they are read, once somebody has worked that out."""

    def only(self, kept: Mask) -> "Selection":
        """The units that have a piece which is kept."""
        if kept.all():
            return self
        bounds, pieces = self.bounds, self.pieces
        counts, most = np.add.reduceat(kept, bounds[:-1], dtype=np.int64), np.diff(bounds)
        whole = 2 * counts > most  # cheaper to search than to cut
        kept = kept | np.repeat(whole, most)
        counts = np.where(whole, most, counts)
        left = counts > 0
        found = Pieces(pieces.ordinal[kept], pieces.low[kept], pieces.high[kept])
        return Selection(self.units[left], np.append(0, np.cumsum(counts[left])), found)

    def rows(self) -> I64:
        """Selected rows of each unit."""
        if not len(self.units):
            return self.units
        found: I64 = np.add.reduceat(self.pieces.high - self.pieces.low, self.bounds[:-1])
        return found

    def ends(self, order: BlockOrder) -> tuple[I64, I64]:
        """The oldest and the newest selected timestamp of each unit, of which there are some."""
        first, last = order.rows_at(self.pieces.low), order.rows_at(self.pieces.high - 1)
        oldest: I64 = np.minimum.reduceat(order.ts[first], self.bounds[:-1])
        newest: I64 = np.maximum.reduceat(order.ts[last], self.bounds[:-1])
        return oldest, newest

    @property
    def nbytes(self) -> int:
        """Memory, with that of the row groups."""
        return 40 * len(self.pieces.low) + 600 * len(self.units) + 200


def key_of(block_id: str, table: StreamTable, request: ScanRequest) -> tuple[str, ...] | None:
    """Under what a selection is remembered; None: it is not, being cut or of many streams."""
    oldest, newest = table.reach
    if len(table) > MOST_STREAMS or oldest < request.start_ns or newest >= request.end_ns:
        return None
    return block_id, "selection", np.packbits(request.streams).tobytes().hex()
