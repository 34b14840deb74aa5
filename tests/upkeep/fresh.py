"""Upkeep as a process does it that has just started, alone; merges of few blocks, for tests."""

from collections.abc import Callable

from narfi.core.retention import RetentionPolicy
from narfi.core.tenant import TenantId
from storage.catalog.jobs import Jobs
from storage.catalog.sql import SqlCatalog
from storage.store import BlockStore
from upkeep.compaction import Compaction
from upkeep.merge_policy import MergeRules
from upkeep.retention import Retention
from upkeep.worker import Worker

MIN_BLOCKS = 4
RULES = MergeRules(min_blocks=MIN_BLOCKS, growth=2.0)
ANY_TWO = MergeRules(min_blocks=2, growth=1.0, least_growth=1.0)


def worker_of(catalog: SqlCatalog, store: BlockStore) -> Worker:
    """Of a process that has just started, alone; what failed before is tried at once."""
    clock = store._services.clock
    worker = Worker(Jobs(catalog.database, clock), catalog, clock, store.owner)
    worker.begin()
    return worker


def retention_of(
    catalog: SqlCatalog, store: BlockStore, policy_of: Callable[[TenantId], RetentionPolicy]
) -> Retention:
    """Retention by age of such a process."""
    return Retention(
        catalog=catalog,
        store=store,
        clock=store._services.clock,
        worker=worker_of(catalog, store),
        policy_of=policy_of,
    )


def compaction_of(catalog: SqlCatalog, store: BlockStore, rules: MergeRules = RULES) -> Compaction:
    """Compaction of such a process."""
    return Compaction(
        catalog=catalog,
        store=store,
        clock=store._services.clock,
        worker=worker_of(catalog, store),
        rules=rules,
    )


def compact(catalog: SqlCatalog, store: BlockStore, rules: MergeRules = RULES) -> int:
    """One round; the number of blocks that went away, or the first error."""
    return compaction_of(catalog, store, rules).run()
