"""Upkeep as a process does it that has just started, alone; merges of few blocks, for tests."""

from collections.abc import Callable

from narfi.core.retention import RetentionPolicy
from narfi.core.tenant import TenantId
from storage.catalog.jobs import Jobs
from storage.catalog.sql import SqlCatalog
from storage.store import BlockStore
from upkeep.compaction import Compaction, CompactionParts
from upkeep.merge_policy import MergeRules
from upkeep.retention import RetentionParts
from upkeep.worker import Worker

MIN_BLOCKS = 4
RULES = MergeRules(min_blocks=MIN_BLOCKS, growth=2.0)
ANY_TWO = MergeRules(min_blocks=2, growth=1.0, least_growth=1.0)


def worker_of(catalog: SqlCatalog, store: BlockStore) -> Worker:
    """Of a process that has just started, alone; what failed before is tried at once."""
    clock = store._parts.clock
    worker = Worker(Jobs(catalog.database, clock), catalog, clock, store.owner)
    worker.begin()
    return worker


def retention_parts(
    catalog: SqlCatalog, store: BlockStore, policy_of: Callable[[TenantId], RetentionPolicy]
) -> RetentionParts:
    """What retention works with."""
    return RetentionParts(
        catalog=catalog,
        store=store,
        clock=store._parts.clock,
        worker=worker_of(catalog, store),
        policy_of=policy_of,
    )


def compact(catalog: SqlCatalog, store: BlockStore, rules: MergeRules = RULES) -> int:
    """One round; the number of blocks that went away, or the first error."""
    parts = CompactionParts(
        catalog=catalog,
        store=store,
        clock=store._parts.clock,
        worker=worker_of(catalog, store),
        rules=rules,
    )
    return Compaction(parts).run()
