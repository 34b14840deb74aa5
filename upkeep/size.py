"""Which blocks go when all of them together are too large? Those whose newest entry is oldest.

Tenants are not told apart: the oldest data of all goes first.
"""

from collections.abc import Sequence

from storage.catalog.base import BlockRow, Catalog, CatalogConflictError
from upkeep.metrics import count_dropped

BATCH = 1000
"""Blocks that one transaction drops, at most."""
REASON = "size"


def oldest_beyond(oldest: Sequence[BlockRow], excess_bytes: int) -> list[BlockRow]:
    """The fewest of the blocks, from the first on, that hold `excess_bytes` stored bytes.

    All of them when they hold less; none when there is no excess.
    """
    chosen: list[BlockRow] = []
    for row in oldest:
        if excess_bytes <= 0:
            break
        chosen.append(row)
        excess_bytes -= row.stored_bytes
    return chosen


def shrink(catalog: Catalog, max_total_bytes: int) -> int:
    """Hide the oldest blocks until the others fit; how many. 0 as the size means no limit."""
    if not max_total_bytes:
        return 0
    excess = sum(total.stored_bytes for total in catalog.totals()) - max_total_bytes
    gone = 0
    while rows := oldest_beyond(catalog.oldest(BATCH), excess):
        try:
            catalog.replace([row.block_id for row in rows], [])
        except CatalogConflictError:
            return gone  # somebody else was faster: there may be no excess any more
        for row in rows:
            count_dropped(REASON, row)
        gone += len(rows)
        excess -= sum(row.stored_bytes for row in rows)
    return gone
