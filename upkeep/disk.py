"""What makes room when the disk fills? Objects of removed blocks at once, then the oldest blocks.

Ingestion must not stop while there is old data to drop. Nothing is dropped that need not be: blocks
that were removed already go first, then the fewest of the oldest that make up for what is missing.
A query that reads such a block at that moment must be asked again: there is no time for grace.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from narfi.core.clock import NS_PER_S, Clock
from storage.block.folders import delete_objects
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow, Catalog, CatalogConflictError, CatalogError, RemovedBlock
from storage.objects.base import ObjectStore
from upkeep.garbage import erase
from upkeep.metrics import FREE_DISK, MIN_FREE_DISK, count_dropped
from upkeep.reserve import Reserve

B = TypeVar("B", BlockRow, RemovedBlock)

log = structlog.get_logger(__name__)

SETTLE_NS = 10 * NS_PER_S
"""How long deleted bytes count as free before the file system shows them: a query may still have
the files open, and some file systems free in the background. Else all blocks would go for one."""
BATCH = 100
"""Blocks looked at before the free space is asked again."""
EXTRA_BYTES = 8 * 1024
"""What a block takes beyond its stored bytes: the manifest, and two objects' half-filled pages."""
REASON = "disk"


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A file system, in bytes."""

    total: int
    free: int  # for us


@dataclass(frozen=True, slots=True)
class DiskGuardParts:
    """What the guard works with."""

    catalog: Catalog
    objects: ObjectStore
    clock: Clock
    space: Callable[[], DiskSpace]
    min_free: Callable[[int], int]  # bytes of the disk -> bytes that shall be free
    reserve: Reserve


class DiskGuard:
    """Keeps some of the disk free; `run` is called every second or so, by one thread."""

    def __init__(self, parts: DiskGuardParts) -> None:
        self._parts = parts
        self._owed = 0  # bytes that were deleted and that the disk does not show as free yet
        self._owed_since_ns = 0

    def run(self) -> int:
        """Make room if there is too little; the number of blocks dropped."""
        dropped = 0
        while (missing := self._missing()) > 0:
            removed = self._parts.catalog.removed(BATCH)
            rows = [] if removed else self._parts.catalog.oldest(BATCH)
            if removed:
                self._erase(_half_enough(removed, missing))
            elif rows:
                dropped += self._drop(_half_enough(rows, missing))
            else:
                log.error("the disk is nearly full and no block is left to drop", missing=missing)
                return dropped
        self._parts.reserve.fill()
        return dropped

    def _missing(self) -> int:
        """Bytes that must become free, beyond those that are about to."""
        space = self._parts.space()
        wanted = self._parts.min_free(space.total)
        FREE_DISK.set(space.free)
        MIN_FREE_DISK.set(wanted)
        if not 0 <= self._parts.clock.now_ns() - self._owed_since_ns < SETTLE_NS:
            self._owed = 0  # also when the clock was put back: else it would count for that long
        return wanted - space.free - self._owed

    def _drop(self, rows: Sequence[BlockRow]) -> int:
        log.warning("disk nearly full: the oldest blocks are dropped", blocks=len(rows))
        try:
            self._parts.catalog.replace([row.block_id for row in rows], [])
        except CatalogConflictError:
            return 0  # compaction or retention was faster; look again
        except CatalogError:
            self._drop_on_a_full_disk(rows)
        for row in rows:
            count_dropped(REASON, row)
        now = self._parts.clock.now_ns()
        self._erase(
            [RemovedBlock(r.block_id, r.tenant, r.min_ts, r.stored_bytes, now) for r in rows]
        )
        return len(rows)

    def _drop_on_a_full_disk(self, rows: Sequence[BlockRow]) -> None:
        """Drop blocks though the catalog has no room to say so.

        The reserve makes that room, unless another program took it at once. Then the objects of the
        first block go before its row: until the row goes, in this run or the next, a query that
        needs the block fails and says so.
        """
        parts, ids = self._parts, [row.block_id for row in rows]
        parts.reserve.give_up()
        try:
            parts.catalog.replace(ids, [])
        except CatalogError:
            first = rows[0]
            log.error("the disk is full to the last byte, a block goes first", block=first.block_id)
            delete_objects(parts.objects, block_prefix(first.tenant, first.min_ts, first.block_id))
            parts.catalog.replace(ids, [])

    def _erase(self, blocks: Sequence[RemovedBlock]) -> None:
        before = self._parts.space().free
        erased = erase(self._parts.catalog, self._parts.objects, blocks)
        shown = self._parts.space().free - before
        hidden = sum(block.stored_bytes + EXTRA_BYTES for block in erased) - shown
        self._owed = max(self._owed + hidden, 0)
        self._owed_since_ns = self._parts.clock.now_ns()


def _half_enough(blocks: Sequence[B], missing_bytes: int) -> list[B]:
    """The first half of the first blocks that hold the missing bytes; one at least.

    By halves, since their room on the disk is known only about: the last block is chosen alone.
    """
    chosen: list[B] = []
    for block in blocks:
        if missing_bytes <= 0:
            break
        chosen.append(block)
        missing_bytes -= block.stored_bytes + EXTRA_BYTES
    return chosen[: (len(chosen) + 1) // 2]
