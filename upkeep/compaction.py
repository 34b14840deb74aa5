"""How are small blocks merged? Does what `merge_policy` plans, a job for each merge.

A day of a tenant is looked at when blocks of it became visible, which the catalog tells from one
version to the next, and when it has become quiet; the first round of a process asks the catalog for
sums of all days. The merged block and the removal of its parts commit in one transaction;
duplicates among them are dropped. A merge that fails leaves its blocks to be tried again; one that
a damaged block made fail is planned again without it.
"""

import time
from collections.abc import Callable, Sequence

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from storage.block.merge_rows import Kept
from storage.block.reader import BlockSource
from storage.catalog.base import BlockRow, Catalog
from storage.objects.base import BadObjectError
from storage.store import BlockStore
from upkeep.far_merges import FarMerges
from upkeep.merge_policy import (
    DEFAULT_RULES,
    Merge,
    MergeRules,
    Partition,
    first_look,
    fitting,
    partition_of,
    plan,
    quiet_from,
    size_of,
    small_blocks,
)
from upkeep.metrics import MERGED_BYTES, MERGES_WITHOUT_ROOM
from upkeep.worker import Kind, OutOfDateError, Round, Work, Worker

log = structlog.get_logger(__name__)

MAX_ROUND_S = 120.0
"""After that long, a round begins no other merge: deletes and retention shall not wait for all."""


MAX_CROWDED = 10_000
"""Such blocks that are remembered; beyond it they are found again."""
NOW = 0
EXTRA_BYTES = 1024 * 1024
"""What a merged block may take on the disk beyond the stored bytes of its parts."""


class NoRoomError(AppError):
    """Merges were not begun: both the old and the new block would not have room on the disk."""

    kind = ErrorKind.UNAVAILABLE


class Compaction:
    """Merges blocks of all tenants; remembers which days must be looked at, and when."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        store: BlockStore,
        clock: Clock,
        worker: Worker,
        rules: MergeRules = DEFAULT_RULES,
        far: FarMerges | None = None,
        room: Callable[[], int] = lambda: 2**63,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`far`: who else may merge; `room`: bytes that may still be written to the disk;
        `stopping`: begin no other merge."""
        self._catalog, self._store, self._clock, self._worker = catalog, store, clock, worker
        self._rules, self._room, self._stopping, self._far = rules, room, stopping, far
        self._seen: int | None = None  # the catalog's version of what was looked at
        self._look: dict[Partition, int] = {}  # when to look at a day, ns
        self._crowded: set[str] = set()  # blocks whose streams alone take too much memory
        self._began = 0.0
        self._homeless = 0  # merges of this round that the disk has no room for

    def run(self) -> int:
        """Merge what is worth it; the number of blocks that went away.

        A merge that fails stops no other: the first error is raised at the end. `NoRoomError` when
        only the disk was in the way.
        """
        self._began, self._homeless = time.monotonic(), 0
        self._follow()
        with self._worker.round(Kind.MERGE) as this:
            gone, tried = self._try_again(this)
            for day in self._due():
                if self._is_over(this):
                    break
                gone += self._merge_day(this, day, tried)
            MERGES_WITHOUT_ROOM.set(self._homeless)
        if self._homeless:
            raise NoRoomError(
                f"{self._homeless} merges wait for room on the disk: free some, or see "
                "compactor.min_free_disk and compactor.max_total_bytes"
            )
        return gone

    def _follow(self) -> None:
        """Note the days of which blocks became visible since the last round."""
        catalog = self._catalog
        if self._seen is None:
            version, now = catalog.version(), self._clock.now_ns()
            for small in catalog.small_days(small_blocks(self._rules)):
                when = first_look(small, now, self._rules)
                if when is not None:
                    self._look[Partition(small.tenant, small.day)] = when
        else:
            changes = catalog.changes(self._seen)
            version = changes.version
            self._look.update((partition_of(row), NOW) for row in changes.visible)
        self._seen = version

    def _look_later(self, day: Partition, rows: Sequence[BlockRow]) -> None:
        """Note when a day with these blocks may have something to merge; or that it never will."""
        rules, now = self._rules, self._clock.now_ns()
        small = [row for row in rows if size_of(row) < rules.mature_bytes]
        quiet = quiet_from(day, small, rules) if len(small) > 1 else now
        if plan(small, now, rules):
            self._look[day] = NOW
        elif quiet > now:
            self._look[day] = quiet
        else:
            self._look.pop(day, None)

    def _due(self) -> list[Partition]:
        now = self._clock.now_ns()
        return [day for day, when in self._look.items() if when <= now]

    def _is_over(self, this: Round) -> bool:
        late = time.monotonic() - self._began > MAX_ROUND_S
        return late or this.gives_up or self._stopping()

    def _try_again(self, this: Round) -> tuple[int, set[str]]:
        """Merges that failed before, as they were; (blocks that went, blocks that were tried)."""
        gone, tried = 0, set[str]()
        for work in this.due():
            if self._is_over(this):
                break
            rows = sorted(
                self._catalog.visible(work.blocks), key=lambda r: (r.created_ns, r.block_id)
            )
            if any(row.block_id in self._store.quarantine for row in rows):
                this.give_up(work)
                self._look.update((partition_of(row), NOW) for row in rows)
                continue
            tried.update(work.blocks)
            gone += self._merge(this, Merge(tuple(rows)))
        return gone, tried

    def _merge_day(self, this: Round, day: Partition, tried: set[str]) -> int:
        """Merge what is worth it of a day; blocks that went. `tried` ones had their turn."""
        gone, done, planned = 0, this.done, 0
        rows = self._catalog.begun_within(day.tenant, day.start_ns, day.end_ns)
        left = {r.block_id: r for r in rows if self._is_free(this, r, tried)}
        for_now = len(left)
        while merges := plan(left.values(), self._clock.now_ns(), self._rules):
            for merge in merges:
                planned += 1
                gone += 0 if self._is_over(this) else self._merge(this, merge)
                for row in merge.rows:
                    if row.block_id in self._store.quarantine or not self._is_damaged(merge):
                        del left[row.block_id]
        if for_now == len(rows) and this.done - done == planned:
            self._look_later(day, list(left.values()))
        return gone

    def _is_free(self, this: Round, row: BlockRow, tried: set[str]) -> bool:
        known = row.block_id in this.busy or row.block_id in tried
        known |= row.block_id in self._crowded
        return not known and row.block_id not in self._store.quarantine

    def _is_damaged(self, merge: Merge) -> bool:
        """Whether a block of it was found damaged: the others are free for another merge."""
        return any(row.block_id in self._store.quarantine for row in merge.rows)

    def _merge(self, this: Round, merge: Merge) -> int:
        """Blocks that went."""
        needed = sum(row.stored_bytes for row in merge.rows) + EXTRA_BYTES
        if needed > self._room():
            self._homeless += 1
            log.warning("a merge waits for room on the disk", tenant=merge.tenant, bytes=needed)
            return 0
        work = Work(Kind.MERGE, merge.tenant, tuple(row.block_id for row in merge.rows))
        return this.do(work, lambda: self._replace(merge.rows))

    def _fitting(self, rows: Sequence[BlockRow], streams: Sequence[int]) -> Sequence[BlockRow]:
        """The blocks that there is memory for, now that their streams are known.

        The others wait for the next look at the day; two that do not go together are left alone.
        """
        fits = fitting([size_of(row) for row in rows], streams, self._rules)
        if fits < 2:
            worst = max(range(2), key=lambda k: streams[k])
            if len(self._crowded) >= MAX_CROWDED:
                self._crowded.clear()
            self._crowded.add(rows[worst].block_id)
            log.info("a block has too many streams to be merged", block=rows[worst].block_id)
        return rows[:fits]

    def _replace(self, rows: Sequence[BlockRow]) -> int:
        store = self._store
        try:
            with store.opened(rows) as sources:
                streams = [len(source.table) for source in sources]
                rows = self._fitting(rows, streams)
                if len(rows) < 2:
                    return 0
                merged = self._merged(sources[: len(rows)])
        except BadObjectError as error:
            if any(row.block_id in self._store.quarantine for row in rows):
                raise OutOfDateError(f"planned again without a block: {error.message}") from error
            raise
        store.replace([row.block_id for row in rows], [merged])
        MERGED_BYTES.inc(merged.line_bytes)
        return len(rows) - 1

    def _merged(self, sources: Sequence[BlockSource]) -> BlockRow:
        """The block that they become, made by others where that is worth it and they can."""
        rows, far = [source.row for source in sources], self._far
        cut_id, level = f"compacted-{rows[0].block_id}", max(row.level for row in rows) + 1
        if far is not None and far.takes(sum(row.line_bytes for row in rows)):
            try:
                return self._store.merge_by(far.merge, sources, cut_id, level)
            except Exception as error:
                if self._stopping():
                    raise OutOfDateError("the process ends before its merge") from error
                far.failed(error)
        kept = [Kept(source, None) for source in sources]
        merged = self._store.rewrite(kept, rows[0].tenant, cut_id, level)
        assert merged is not None, "blocks have rows"
        return merged
