"""What does a process remember that runs leaf tasks over blocks of queries planned elsewhere?

Of the last queries which blocks they read and their prepared stages; of blocks what the bytes that
it was given hold.
"""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from querier.budget import Budget
from querier.executors.leaf import LeafContext, SourceOpener, run_leaf
from querier.executors.messages import Setup, Task
from querier.operators.pipeline import Pipeline
from querier.plan.spec import ScanSpec
from querier.reading.kept_sizes import ExcludedSizes
from storage.block.opening import BlockIndex
from storage.block.reader import open_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.base import BadObjectError, ObjectStore
from storage.objects.cached import CachedObjects
from storage.objects.guest_cache import GuestCache
from storage.objects.places import objects_at
from storage.objects.shared_cache import SharedCache
from storage.scan import LogSource

KNOWN_QUERIES = 4
"""Queries whose opened blocks and prepared stages are kept, of those that are served in turn."""
KNOWN_SOURCES = 4
"""Of a query: its tasks go from block to block."""
INDEX_SHARE = 4
"""Part of the cache's bytes for what is known of blocks without their columns."""


def objects_of(setup: Setup) -> ObjectStore:
    """Through a cache on the disk, if there is one."""
    far = objects_at(setup.objects)
    if not setup.disk_cache:
        return far
    folder = Path(setup.disk_cache)
    if setup.shared_bytes:
        return CachedObjects(far, SharedCache(folder, setup.objects, setup.shared_bytes))
    return CachedObjects(far, GuestCache(folder, setup.most_given))


class _Known:
    """What tasks of one query have in common."""

    def __init__(self, open_row: Callable[[BlockRow], LogSource]) -> None:
        self.rows: dict[str, BlockRow] = {}
        self.opener = SourceOpener(lambda block_id: open_row(self.rows[block_id]), KNOWN_SOURCES)
        self.pipelines: dict[ScanSpec, Pipeline] = {}


class StoredBlocks:
    """Blocks of one store, and the queries that read them; used by one thread at a time."""

    def __init__(self, objects: ObjectStore, cache_bytes: int) -> None:
        """`objects`: through a cache on the disk, perhaps."""
        self._objects = objects
        index_bytes = cache_bytes // INDEX_SHARE
        self._indexes: ByteCache[BlockIndex] = ByteCache(index_bytes)
        self._columns: ByteCache[object] = ByteCache(cache_bytes - index_bytes)
        self._queries: OrderedDict[object, _Known] = OrderedDict()
        self._sizes = ExcludedSizes()

    def run(self, task: Task, budget: Budget, query: object = None) -> Any:
        """What the task finds; `query`: its name, where numbers are not enough.

        Raises as `run_leaf`: what is wrong with an object, only where it is no fault of a cache.
        """
        try:
            return run_leaf(task.spec, self._context(task, budget, query))
        except BadObjectError as error:
            if not self._may_read_past_cache(error.key):
                raise
            self.forget_queries()
            return run_leaf(task.spec, self._context(task, budget, query))

    def _context(self, task: Task, budget: Budget, query: object) -> LeafContext:
        """What the task needs beside its spec."""
        name = task.query if query is None else query
        known = self._queries.get(name)
        if known is None:
            known = self._queries[name] = _Known(self._open)
            while len(self._queries) > KNOWN_QUERIES:
                self._queries.popitem(last=False)
        self._queries.move_to_end(name)
        known.rows[task.block.block_id] = task.block
        return LeafContext(budget, known.opener, known.pipelines, self._sizes)

    def _open(self, row: BlockRow) -> LogSource:
        """Raises as `open_block`."""
        return open_block(row, self._objects, self._indexes, self._columns)

    def _may_read_past_cache(self, key: str) -> bool:
        """Whether what was wrong with an object may be the cache's fault; it is not used for it
        from now on."""
        if not isinstance(self._objects, CachedObjects) or self._objects.is_distrusted(key):
            return False
        self._objects.distrust(key)
        return True

    def forget_queries(self) -> None:
        """What was read of blocks stays."""
        self._queries.clear()
