"""What makes room when the disk fills? Objects of removed blocks at once, then the oldest blocks.

Ingestion must not stop while there is old data to drop. Nothing is dropped that need not be: blocks
that were removed already go first, then the fewest of the oldest that make up for what is missing.
There is no time for grace, but what a query reads stays until it is done: those bytes are about to
be free. When that takes too long, blocks that nobody reads are dropped in their place. Who rewrites
blocks gives way: those that are dropped go under him, and what he makes of them is not wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from narfi.core.clock import NS_PER_S
from narfi.core.log import Turns
from storage.block.folders import delete_objects
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow, CatalogConflictError, CatalogError, RemovedBlock
from storage.store import StoreServices
from upkeep.garbage import erase, unread
from upkeep.metrics import FREE_DISK, MIN_FREE_DISK, count_dropped
from upkeep.reserve import Reserve

B = TypeVar("B", BlockRow, RemovedBlock)

log = structlog.get_logger(__name__)

SETTLE_NS = 10 * NS_PER_S
"""How long bytes that were deleted, or will be when a query is done, count as free before the file
system shows them: some free in the background. Else all blocks would go for one."""
BATCH = 100
"""Blocks looked at before the free space is asked again."""
TOLD_S = 60.0
"""Between two lines of the log that say the same of a disk that stays full."""
EXTRA_BYTES = 8 * 1024
"""What a block takes beyond its stored bytes: the manifest, and two objects' half-filled pages."""
REASON = "disk"


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A file system, in bytes."""

    total: int
    free: int  # for us


class DiskGuard:
    """Keeps some of the disk free; `run` is called every second or so, by one thread."""

    def __init__(
        self,
        store: StoreServices,
        space: Callable[[], DiskSpace],
        min_free: Callable[[int], int],
        reserve: Reserve,
    ) -> None:
        """`min_free`: bytes of the disk to the bytes of it that shall be free."""
        self._store, self._space, self._min_free, self._reserve = store, space, min_free, reserve
        self._full = Turns(TOLD_S)
        self._owed = 0  # bytes that were deleted and that the disk does not show as free yet
        self._owed_since_ns = 0

    def run(self) -> int:
        """Make room if there is too little; the number of blocks dropped."""
        dropped = 0
        while (missing := self._missing()) > 0:
            removed = unread(self._store, BATCH, in_need=True)
            if removed.free:
                self._erase(_half_enough(removed.free, missing))
                continue
            soon, late = self._awaited(removed.held)
            missing -= soon
            if missing <= 0:
                return dropped  # look again when the readers had some time
            rows = self._store.catalog.oldest(BATCH)
            if missing <= late:  # enough is hidden: only what becomes free now is of use
                rows = self._store.pins.unread(rows, in_need=True)
            if not rows:
                if (untold := self._full.take()) is not None:
                    log.error(
                        "the disk is nearly full and no block is left to drop",
                        missing=missing,
                        held_by_readers=len(removed.held),
                        untold_before=untold,
                    )
                return dropped
            dropped += self._drop(_half_enough(rows, missing))
        self._reserve.fill()
        return dropped

    def _awaited(self, held: Sequence[RemovedBlock]) -> tuple[int, int]:
        """Bytes of removed blocks that a query reads: just removed, and those that take long.

        With less than half of the floor left, all take too long.
        """
        now, space = self._store.clock.now_ns(), self._space()
        urgent = space.free < self._min_free(space.total) // 2
        soon = late = 0
        for block in held:
            size = block.stored_bytes + EXTRA_BYTES
            if not urgent and 0 <= now - block.removed_ns < SETTLE_NS:
                soon += size
            else:
                late += size
        return soon, late

    def _missing(self) -> int:
        """Bytes that must become free, beyond those that are about to."""
        space = self._space()
        wanted = self._min_free(space.total)
        FREE_DISK.set(space.free)
        MIN_FREE_DISK.set(wanted)
        if not 0 <= self._store.clock.now_ns() - self._owed_since_ns < SETTLE_NS:
            self._owed = 0  # also when the clock was put back: else it would count for that long
        return wanted - space.free - self._owed

    def _drop(self, rows: Sequence[BlockRow]) -> int:
        log.warning("disk nearly full: the oldest blocks are dropped", blocks=len(rows))
        try:
            self._store.catalog.replace([row.block_id for row in rows], [])
        except CatalogConflictError:
            return 0  # compaction or retention was faster; look again
        except CatalogError:
            self._drop_on_a_full_disk(rows)
        for row in rows:
            count_dropped(REASON, row)
        now = self._store.clock.now_ns()
        gone = [
            RemovedBlock(
                block_id=r.block_id,
                tenant=r.tenant,
                min_ts=r.min_ts,
                stored_bytes=r.stored_bytes,
                removed_ns=now,
            )
            for r in rows
        ]
        self._erase(self._store.pins.unread(gone, in_need=True))
        return len(rows)

    def _drop_on_a_full_disk(self, rows: Sequence[BlockRow]) -> None:
        """Drop blocks though the catalog has no room to say so.

        The reserve makes that room, unless another program took it at once. Then the objects of the
        first block that nobody reads go before its row: until the row goes, in this run or the
        next, a query that comes now and needs the block fails and says so.
        """
        store, ids = self._store, [row.block_id for row in rows]
        self._reserve.give_up()
        try:
            store.catalog.replace(ids, [])
        except CatalogError:
            free = store.pins.unread(rows, in_need=True)
            if not free:
                raise
            first = free[0]
            log.error("the disk is full to the last byte, a block goes first", block=first.block_id)
            delete_objects(store.objects, block_prefix(first.tenant, first.min_ts, first.block_id))
            store.catalog.replace(ids, [])

    def _erase(self, blocks: Sequence[RemovedBlock]) -> None:
        before = self._space().free
        erased = erase(self._store, blocks)
        shown = self._space().free - before
        hidden = sum(block.stored_bytes + EXTRA_BYTES for block in erased) - shown
        self._owed = max(self._owed + hidden, 0)
        self._owed_since_ns = self._store.clock.now_ns()


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
