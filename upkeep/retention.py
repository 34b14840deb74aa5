"""How do entries that are too old go away? Executes what `retention_policy` decides.

Catalog rows change first, a transaction for the blocks that expired whole and one per rewritten
block, so that a stop at any point leaves each block old or new; the objects of removed blocks go
later, so that a query that began before can still read them.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from narfi.core.clock import Clock
from narfi.core.retention import RetentionPolicy
from narfi.core.tenant import TenantId
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.store import BlockStore
from upkeep.due import DueBlocks
from upkeep.metrics import count_dropped, count_rewritten
from upkeep.retention_policy import (
    Rewrite,
    Verdict,
    decide,
    ends_of,
    judge,
    next_judgement,
    next_look,
    within_budget,
)
from upkeep.worker import Kind, Round, Work, Worker

MAX_TABLES = 1000
"""Stream tables that one run reads: after a start with many blocks, several runs share the work."""
DROP_BATCH = 1000
"""Blocks that one transaction drops, at most."""
REASON = "age"


class Retention:
    """Retention by age of all tenants; used by one thread."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        store: BlockStore,
        clock: Clock,
        worker: Worker,
        policy_of: Callable[[TenantId], RetentionPolicy],
    ) -> None:
        self._worker = worker
        self._catalog, self._store, self._clock, self._policy_of = catalog, store, clock, policy_of
        self._due = DueBlocks(catalog)
        self._tables_left = 0

    def run(self) -> int:
        """Do what is due, within the budget of a run; the number of blocks that went or shrank.

        A block that fails stops no other: the first error is raised at the end.
        """
        with self._worker.round(Kind.EXPIRE) as this:
            return self._run(this)

    def _run(self, this: Round) -> int:
        now, done = self._clock.now_ns(), 0
        self._tables_left = MAX_TABLES
        rewrites: list[Rewrite] = []
        tenants = self._catalog.tenants()
        self._due.follow(tenants)
        for tenant in tenants:
            policy = self._policy_of(tenant)
            for rows in self._due.pages(tenant, policy, now):
                drop = self._plan(this, rows, policy, now, rewrites)
                for first in range(0, len(drop), DROP_BATCH):
                    done += self._drop(this, drop[first : first + DROP_BATCH])
        for job in within_budget(rewrites):
            done += this.do(_work(job.row), partial(self._rewrite, job))
        return done

    def _plan(
        self,
        this: Round,
        rows: Sequence[BlockRow],
        policy: RetentionPolicy,
        now_ns: int,
        rewrites: list[Rewrite],
    ) -> list[BlockRow]:
        """Blocks of a tenant that expired whole; those that shall shrink go to `rewrites`."""
        drop: list[BlockRow] = []
        for row in rows:
            verdict = judge(row, policy, now_ns)
            if verdict is Verdict.KEEP:
                self._due.later(row, next_judgement(row, policy, now_ns))
            elif verdict is Verdict.LOOK:
                verdict = self._look(this, row, partial(self._judge, row, policy, now_ns, rewrites))
            if verdict is Verdict.DROP:
                drop.append(row)
        return drop

    def _look(self, this: Round, row: BlockRow, judge: Callable[[], Verdict]) -> Verdict:
        """What `judge` tells; `LOOK`, and so the same in the next round, when that fails."""
        if not self._tables_left:
            return Verdict.LOOK
        self._tables_left -= 1
        found: list[Verdict] = []

        def look() -> int:
            found.append(judge())
            return 1

        this.attempt(_work(row), look)
        return found[0] if found else Verdict.LOOK

    def _judge(
        self,
        row: BlockRow,
        policy: RetentionPolicy,
        now_ns: int,
        rewrites: list[Rewrite],
    ) -> Verdict:
        """What becomes of a block, from its stream table."""
        with self._store.opened([row]) as (source,):
            table = source.table
        ends = ends_of(table, policy)
        verdict = decide(ends, table.line_bytes, now_ns)
        if verdict is Verdict.REWRITE:
            rewrites.append(Rewrite(row, ends >= now_ns, now_ns - int(ends.min())))
        if verdict is Verdict.KEEP:
            self._due.later(row, next_look(ends, now_ns))
        return verdict

    def _drop(self, this: Round, rows: list[BlockRow]) -> int:
        ids = [row.block_id for row in rows]

        def drop() -> int:
            self._catalog.replace(ids, [])
            for row in rows:
                count_dropped(REASON, row)
            return len(rows)

        return this.attempt(Work(Kind.EXPIRE, rows[0].tenant, tuple(ids)), drop)

    def _rewrite(self, job: Rewrite) -> int:
        row, store = job.row, self._store
        with store.opened([row]) as (source,):
            kept = Kept(source, np.repeat(job.kept, source.table.rows))
            smaller = store.rewrite([kept], row.tenant, row.cut_id, row.level)
        assert smaller is not None, "a rewrite keeps some streams"
        store.replace([row.block_id], [smaller])
        count_rewritten(REASON, row, smaller)
        return 1


def _work(row: BlockRow) -> Work:
    """What is done to one block, whatever that turns out to be."""
    return Work(Kind.EXPIRE, row.tenant, (row.block_id,))
