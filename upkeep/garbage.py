"""Which objects does nobody need? Those of blocks that were removed and that nobody reads.

A block that was replaced, dropped or given up is a row of removed blocks. Its objects are deleted
when no reader of this process has pinned it, and after a grace period for readers of other
processes (`narfi sql`, a backup); a block that is still read is looked at again next time. A folder
that the catalog does not name is nobody's garbage: it may be all that is left of somebody's logs.
It is moved to `lost+found/` and told; only the operator adopts or deletes it.
Invariant: only what `unread` returned is erased.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog

from narfi.core.tenant import TenantId
from storage.block.folders import LOST_FOUND, delete_objects, folders, set_aside
from storage.block.layout import block_prefix
from storage.catalog.base import RemovedBlock
from storage.known import unknown_folders
from storage.store import StoreServices
from upkeep.metrics import LOST_FOLDERS
from upkeep.worker import Kind, Round, Work, Worker

log = structlog.get_logger(__name__)

NOBODY = TenantId("")
"""Whose a folder is that the catalog does not know."""
BATCH = 32
"""Removed blocks between two transactions that forget them: what a kill lets be done again."""


class GarbageCollector:
    """Deletes what the catalog proves to be garbage; one per process."""

    def __init__(self, services: StoreServices, grace_ns: int, worker: Worker) -> None:
        self._services, self._grace_ns, self._worker = services, grace_ns, worker
        self._next_ns = 0
        self.lost_folders: int | None = None  # in lost+found at the last look
        self.set_aside = 0  # folders, by this process

    def begin(self) -> None:
        """Give up what processes before this one began to write; before anything is written."""
        self._services.catalog.abandon_expired(self._worker.holder)

    def collect(self) -> int:
        """Do what is due; the number of blocks deleted and folders set aside.

        A folder that fails stops no other: the first error is raised at the end.
        """
        self._services.catalog.abandon_expired()
        with self._worker.round(Kind.REMOVE) as this:
            return self._delete_removed(this) + self._set_unknown_aside(this)

    def _delete_removed(self, this: Round) -> int:
        edge, done, tried = self._services.clock.now_ns() - self._grace_ns, 0, set[str]()
        while True:
            free = unread(self._services, BATCH, but=tried).free
            due = [block for block in free if block.removed_ns <= edge]
            if not due or this.gives_up:
                return done
            gone = [block.block_id for block in due if self._delete(this, block)]
            if gone:
                self._services.catalog.forget(gone)
            tried.update(block.block_id for block in due)
            done += len(gone)

    def _delete(self, this: Round, block: RemovedBlock) -> int:
        """1 when nothing of it is there any more."""
        work = Work(Kind.REMOVE, block.tenant, (block.block_id,))

        def delete() -> int:
            delete_objects(
                self._services.objects, block_prefix(block.tenant, block.min_ts, block.block_id)
            )
            return 1

        return this.attempt(work, delete)

    def _set_unknown_aside(self, this: Round) -> int:
        objects, now = self._services.objects, self._services.clock.now_ns()
        if now < self._next_ns:
            return 0  # a listing of everything is not for every minute
        unknown = unknown_folders(self._services.catalog, objects)
        self._next_ns = now + self._grace_ns // 4
        moved = sum(self._set_aside(this, folder) for folder in unknown)
        self.set_aside += moved
        self.lost_folders = len(folders(objects, f"{LOST_FOUND}/"))
        LOST_FOLDERS.set(self.lost_folders)
        return moved

    def _set_aside(self, this: Round, folder: str) -> int:
        """1 when the folder was moved away."""

        def move() -> int:
            target = set_aside(self._services.objects, folder)
            log.error("the catalog does not know a folder: it was set aside", now_in=target)
            return 1

        return this.attempt(Work(Kind.REMOVE, NOBODY, (), folder), move)


@dataclass(frozen=True, slots=True)
class Unread:
    """Removed blocks, oldest removal first."""

    free: list[RemovedBlock]  # nobody reads them, and nobody ever will
    held: list[RemovedBlock]  # somebody may still read them


def unread(
    services: StoreServices, limit: int, *, in_need: bool = False, but: Collection[str] = ()
) -> Unread:
    """The first `limit` removed blocks that nobody reads, and those that were found held.

    `but`: ids that are not asked for. `in_need`: what is only rewritten is as good as not read
    (`Pins.unread`).
    """
    asked = limit
    while True:
        removed = services.catalog.removed(asked)
        wanted = [block for block in removed if block.block_id not in but]
        free = services.pins.unread(wanted, in_need=in_need)
        if len(free) >= limit or len(removed) < asked:
            ids = {block.block_id for block in free}
            return Unread(free[:limit], [block for block in wanted if block.block_id not in ids])
        asked *= 2  # those that are held must not hide the others


def erase(services: StoreServices, blocks: Sequence[RemovedBlock]) -> list[RemovedBlock]:
    """Delete the objects of removed blocks that nobody reads, then forget them; may be done again.

    The blocks of which something was still there.
    """
    found: list[RemovedBlock] = []
    for block in blocks:
        prefix = block_prefix(block.tenant, block.min_ts, block.block_id)
        if delete_objects(services.objects, prefix):
            found.append(block)
    services.catalog.forget([block.block_id for block in blocks])
    return found
