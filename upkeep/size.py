"""Which blocks go when all of them together are too large? Those whose newest entry is oldest.

Tenants are not told apart: the oldest data of all goes first. Each batch is a job, beside those of
other processes: blocks that somebody writes anew are left to a later round.
"""

from collections.abc import Sequence
from functools import partial

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog
from upkeep.metrics import count_dropped
from upkeep.worker import Kind, Work, Worker

EVERYBODY = TenantId("")
"""Whose blocks go: they are not told apart."""
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


def shrink(catalog: Catalog, worker: Worker, max_total_bytes: int) -> int:
    """Hide the oldest blocks until the others fit; how many. 0 as the size means no limit.

    Raises the error of a batch that could not be dropped; it is tried again in the next round.
    """
    if not max_total_bytes:
        return 0
    excess = sum(total.stored_bytes for total in catalog.totals()) - max_total_bytes
    gone = 0
    with worker.round(Kind.SIZE) as this:
        while rows := oldest_beyond(catalog.oldest(BATCH), excess):
            work = Work(Kind.SIZE, EVERYBODY, tuple(row.block_id for row in rows))
            dropped = this.do(work, partial(_drop, catalog, rows))
            if not dropped:
                break  # it failed, or somebody is at one of them: there may be no excess any more
            gone += dropped
            excess -= sum(row.stored_bytes for row in rows)
    return gone


def _drop(catalog: Catalog, rows: Sequence[BlockRow]) -> int:
    catalog.replace([row.block_id for row in rows], [])
    for row in rows:
        count_dropped(REASON, row)
    return len(rows)
