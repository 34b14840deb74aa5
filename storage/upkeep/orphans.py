"""Which objects belong to no visible block? Remains of crashes, deletes, retention, compaction.

They stay for a while: a flush that is under way has objects before its row, and a query that began
before a block was replaced still reads it.
"""

from pathlib import PurePosixPath

from narfi.core.clock import Clock
from storage.block.layout import MANIFEST, block_prefix
from storage.catalog.base import Catalog
from storage.objects.base import ObjectStore

PREFIX = "blocks/"


class OrphanCleaner:
    """Removes orphans that were seen as such for a grace period; one per process."""

    def __init__(self, catalog: Catalog, objects: ObjectStore, clock: Clock, grace_ns: int) -> None:
        self._catalog, self._objects, self._clock = catalog, objects, clock
        self._grace_ns = grace_ns
        self._first_seen: dict[str, int] = {}
        self._next_ns = 0

    def clean(self) -> int:
        """Remove what is due, a few times per grace period; the number of folders removed."""
        if self._clock.now_ns() < self._next_ns:
            return 0  # a listing of everything is not for every minute
        self._next_ns = self._clock.now_ns() + self._grace_ns // 4
        folders: dict[str, list[str]] = {}
        for key in self._objects.list(PREFIX):
            folders.setdefault(str(PurePosixPath(key).parent), []).append(key)
        visible = self._visible()  # after the listing: a block made meanwhile is no orphan
        orphans = {folder for folder in folders if folder not in visible}
        self._first_seen = {f: t for f, t in self._first_seen.items() if f in orphans}
        now, removed = self._clock.now_ns(), 0
        for folder in sorted(orphans):
            since = self._first_seen.setdefault(folder, now)
            if now - since >= self._grace_ns:
                self._remove(folders[folder])
                del self._first_seen[folder]
                removed += 1
        return removed

    def _visible(self) -> set[str]:
        rows = (
            row
            for tenant in self._catalog.tenants()
            for row in self._catalog.blocks(tenant, -(2**63), 2**63 - 1)
        )
        return {block_prefix(row.tenant, row.min_ts, row.block_id) for row in rows}

    def _remove(self, keys: list[str]) -> None:
        for key in sorted(keys, key=lambda k: not k.endswith(MANIFEST)):  # no half block remains
            self._objects.delete(key)
