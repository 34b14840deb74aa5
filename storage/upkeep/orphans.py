"""Which objects belong to no visible block? Those of removed blocks, and remains of crashes.

They stay for a while: a query that began before a block was replaced still reads it, and a flush
that is under way has objects before its row. Removed blocks are known from the catalog, and their
objects could go at any time without losing an entry; remains of crashes are found by listing.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath

from narfi.core.clock import Clock
from storage.block.layout import MANIFEST, block_prefix
from storage.catalog.base import BlockRow, Catalog, RemovedBlock
from storage.objects.base import ObjectStore

PREFIX = "blocks/"
BATCH = 256
"""Removed blocks between two transactions that forget them."""


class OrphanCleaner:
    """Removes orphans after a grace period; one per process."""

    def __init__(self, catalog: Catalog, objects: ObjectStore, clock: Clock, grace_ns: int) -> None:
        self._catalog, self._objects, self._clock = catalog, objects, clock
        self._grace_ns = grace_ns
        self._first_seen: dict[str, int] = {}
        self._next_ns = 0

    def clean(self) -> int:
        """Remove what is due; the number of folders removed."""
        return self._clean_removed() + self._clean_remains()

    def _clean_removed(self) -> int:
        edge, done = self._clock.now_ns() - self._grace_ns, 0
        while due := [b for b in self._catalog.removed(BATCH) if b.removed_ns <= edge]:
            erase(self._catalog, self._objects, due)
            done += len(due)
        return done

    def _clean_remains(self) -> int:
        """Folders that no transaction ever knew, seen as such for the grace period."""
        if self._clock.now_ns() < self._next_ns:
            return 0  # a listing of everything is not for every minute
        self._next_ns = self._clock.now_ns() + self._grace_ns // 4
        folders: dict[str, list[str]] = {}
        for key in self._objects.list(PREFIX):
            folders.setdefault(str(PurePosixPath(key).parent), []).append(key)
        known = self._known()  # after the listing: a block made meanwhile is no orphan
        orphans = {folder for folder in folders if folder not in known}
        self._first_seen = {f: t for f, t in self._first_seen.items() if f in orphans}
        now, done = self._clock.now_ns(), 0
        for folder in sorted(orphans):
            since = self._first_seen.setdefault(folder, now)
            if now - since >= self._grace_ns:
                _delete(self._objects, folders[folder])
                del self._first_seen[folder]
                done += 1
        return done

    def _known(self) -> set[str]:
        """Folders of visible blocks, and of removed ones, which have a date of their own."""
        visible = [
            row
            for tenant in self._catalog.tenants()
            for row in self._catalog.blocks(tenant, -(2**63), 2**63 - 1)
        ]
        removed = self._catalog.removed(2**31)  # afterwards: one that moved meanwhile is in both
        both: list[BlockRow | RemovedBlock] = [*visible, *removed]
        return {block_prefix(b.tenant, b.min_ts, b.block_id) for b in both}


def erase(
    catalog: Catalog, objects: ObjectStore, blocks: Sequence[RemovedBlock]
) -> list[RemovedBlock]:
    """Delete the objects of removed blocks, then forget the blocks; may be done again.

    The blocks of which something was still there.
    """
    found: list[RemovedBlock] = []
    for block in blocks:
        if delete_objects(objects, block_prefix(block.tenant, block.min_ts, block.block_id)):
            found.append(block)
    catalog.forget([block.block_id for block in blocks])
    return found


def delete_objects(objects: ObjectStore, folder: str) -> int:
    """Delete a block's objects; how many there were."""
    keys = list(objects.list(f"{folder}/"))
    _delete(objects, keys)
    return len(keys)


def _delete(objects: ObjectStore, keys: Sequence[str]) -> None:
    for key in sorted(keys, key=lambda k: not k.endswith(MANIFEST)):  # no half block remains
        objects.delete(key)
