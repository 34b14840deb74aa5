"""Which objects does nobody need? Those of blocks that the catalog says were removed.

A block that was replaced, dropped or given up is a row of removed blocks; its objects are deleted
after a grace period, in which queries that began before can still read them. A folder that the
catalog does not name is nobody's garbage: it may be all that is left of somebody's logs. It is
moved to `lost+found/` and told; only the operator adopts or deletes it.
"""

from collections.abc import Sequence

import structlog

from narfi.core.clock import Clock
from storage.block.folders import LOST_FOUND, delete_objects, folders, set_aside
from storage.block.layout import block_prefix
from storage.catalog.base import Catalog, RemovedBlock
from storage.known import unknown_folders
from storage.objects.base import ObjectStore
from upkeep.metrics import LOST_FOLDERS

log = structlog.get_logger(__name__)

BATCH = 32
"""Removed blocks between two transactions that forget them: what a kill lets be done again."""


class GarbageCollector:
    """Deletes what the catalog proves to be garbage; one per process."""

    def __init__(
        self, catalog: Catalog, objects: ObjectStore, clock: Clock, grace_ns: int, owner: str
    ) -> None:
        self._catalog, self._objects, self._clock = catalog, objects, clock
        self._grace_ns, self._owner = grace_ns, owner
        self._next_ns = 0
        self.lost_folders: int | None = None  # in lost+found at the last look
        self.set_aside = 0  # folders, by this process

    def begin(self) -> None:
        """Give up what processes before this one began to write; before anything is written."""
        self._catalog.abandon_expired(self._owner)

    def collect(self) -> int:
        """Do what is due; the number of blocks deleted and folders set aside."""
        self._catalog.abandon_expired()
        return self._delete_removed() + self._set_unknown_aside()

    def _delete_removed(self) -> int:
        edge, done = self._clock.now_ns() - self._grace_ns, 0
        while due := [b for b in self._catalog.removed(BATCH) if b.removed_ns <= edge]:
            erase(self._catalog, self._objects, due)
            done += len(due)
        return done

    def _set_unknown_aside(self) -> int:
        if self._clock.now_ns() < self._next_ns:
            return 0  # a listing of everything is not for every minute
        self._next_ns = self._clock.now_ns() + self._grace_ns // 4
        unknown = unknown_folders(self._catalog, self._objects)
        for folder in unknown:
            target = set_aside(self._objects, folder)
            log.error("the catalog does not know a folder: it was set aside", now_in=target)
        self.set_aside += len(unknown)
        self.lost_folders = len(folders(self._objects, f"{LOST_FOUND}/"))
        LOST_FOLDERS.set(self.lost_folders)
        return len(unknown)


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
