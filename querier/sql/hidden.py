"""Which stored rows does SQL leave out? Those that pending delete requests hide from queries.

Streams that are hidden as a whole are named by their ordinal, other rows by their number in the
block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.executors.deleted_rows import DeletedRows
from querier.reading.deletes import Deletion
from querier.reading.hiding import HiddenEntries
from storage.block.layout import block_prefix
from storage.block.opening import BlockIndex
from storage.block.reader import open_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectStore


@dataclass(frozen=True, slots=True)
class HiddenRows:
    """What nobody sees of a block."""

    prefix: str  # of its objects
    streams: I64  # ordinals
    rows: I64  # of other streams


def hidden_rows(
    objects: ObjectStore,
    tenant: TenantId,
    blocks: Sequence[BlockRow],
    deletions: Sequence[Deletion],
) -> list[HiddenRows]:
    """What the deletions hide of the blocks; those of which nothing is hidden are left out."""
    found: list[HiddenRows] = []
    hidden = HiddenEntries({tenant: deletions}, DeletedRows(0).find, Budget())
    for row in blocks:
        indexes: ByteCache[BlockIndex] = ByteCache(0)
        columns: ByteCache[object] = ByteCache(0)
        source = open_block(row, objects, indexes, columns)
        every = np.ones(len(source.table), np.bool_)
        gone = hidden.of(source, every, (row.min_ts, row.max_ts + 1))
        if gone is not None:
            prefix = block_prefix(row.tenant, row.min_ts, row.block_id)
            found.append(HiddenRows(prefix, np.flatnonzero(gone.streams), gone.rows))
    return found
