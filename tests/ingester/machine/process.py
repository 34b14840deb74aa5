"""A process with all of its upkeep: deletes, retention by age and size, compaction, garbage."""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ingester.flush import FlushError
from narfi.core.clock import ManualClock
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import DAY_NS, RetentionPolicy, RetentionRule
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.executors.deleted_rows import DeletedRows
from querier.reading.deletes import DeleteRequests
from querier.reading.hiding import HiddenEntries
from querier.reading.pending import PendingDeletes
from storage.catalog.base import BlockRow, Loss, Watermark
from storage.catalog.delete_log import DeleteLog, DeleteRequest
from storage.vault.data_dir import DataDir
from tests.ingester.lives import GRACE_NS, Process, SwitchedCatalog
from tests.ingester.machine.model import Entry
from tests.ingester.machine.power import MortalDisk, MortalSwitch
from tests.storage.batches import Entry as BatchEntry
from tests.upkeep.fresh import compact, retention_of, worker_of
from upkeep.deletes import Deletes
from upkeep.size import shrink

KEPT, EXPIRING = TenantId("kept"), TenantId("expiring")
TENANTS = (KEPT, EXPIRING)
PERIODS = {"a": 2 * DAY_NS, "b": DAY_NS}
"""How long `EXPIRING` keeps entries, by app."""
POLICIES = {
    KEPT: RetentionPolicy(0),
    EXPIRING: RetentionPolicy(
        PERIODS["a"], (RetentionRule((Matcher("app", MatchOp.EQ, "b"),), 1, PERIODS["b"]),)
    ),
}
CANCEL_NS = GRACE_NS


class TickingClock(ManualClock):
    """No two moments are the same."""

    def now_ns(self) -> int:
        """A microsecond later than the last time."""
        self.advance(1000)
        return super().now_ns()


class MortalCatalog(SwitchedCatalog):
    """A catalog each of whose transactions is a step."""

    def abandon_expired(self, owner: str | None = None) -> int:
        """Commit, or fail."""
        return self._switch.step(lambda: super(MortalCatalog, self).abandon_expired(owner))

    def note_loss(self, loss: Loss) -> bool:
        """Commit, or fail."""
        return self._switch.step(lambda: super(MortalCatalog, self).note_loss(loss))

    def adopt(
        self,
        blocks: Sequence[BlockRow],
        replaced: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
    ) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(MortalCatalog, self).adopt(blocks, replaced, watermarks))

    def delete_log(self) -> DeleteLog:
        """Its delete requests; changes of them are steps too."""
        return _Log(self)


class _Log(DeleteLog):
    """Delete requests whose transactions are steps."""

    def __init__(self, catalog: MortalCatalog) -> None:
        super().__init__(catalog)
        self._switch = catalog._switch

    def add(self, request: DeleteRequest, at_most: int = 0) -> bool:
        """Commit, or fail."""
        return self._switch.step(lambda: super(_Log, self).add(request, at_most))

    def change(self, old: DeleteRequest, new: DeleteRequest) -> bool:
        """Commit, or fail."""
        return self._switch.step(lambda: super(_Log, self).change(old, new))

    def remove(self, request: DeleteRequest, *, begun: bool) -> bool:
        """Commit, or fail."""
        return self._switch.step(lambda: super(_Log, self).remove(request, begun=begun))


class Life(Process):
    """One life of a whole server in a data folder."""

    disk: MortalDisk
    switch: MortalSwitch
    clock: ManualClock
    catalog: MortalCatalog
    make_catalog = MortalCatalog

    def __init__(
        self, folder: Path, clock: ManualClock, disk: MortalDisk, switch: MortalSwitch
    ) -> None:
        DataDir(folder).check_is_whole()
        super().__init__(folder, clock, disk, switch)

    def _begin(self) -> None:
        try:
            super()._begin()
        except BaseException:
            if hasattr(self, "catalog"):
                leave_catalog(self.folder, self.catalog)
            raise
        self.log = self.catalog.delete_log()
        self.deleted_rows = DeletedRows()
        self.pending = PendingDeletes(self.log)
        self.deletes = Deletes(
            log=self.log,
            catalog=self.catalog,
            store=self.store,
            clock=self.clock,
            flush=self.flush_all,
            worker=worker_of(self.catalog, self.store),
            find=self.deleted_rows.find,
            cancel_period_ns=CANCEL_NS,
        )
        self.requests = DeleteRequests(self.log, self.clock, lambda _: Limits())
        self.retention = retention_of(self.catalog, self.store, POLICIES.__getitem__)

    def tasks(self, max_total_bytes: int) -> dict[str, Callable[[], object]]:
        """Upkeep, in the order in which a server does it."""
        return {
            "deletes": self.deletes.execute,
            "retention": self.retention.run,
            "size": lambda: shrink(
                self.catalog, worker_of(self.catalog, self.store), max_total_bytes
            ),
            "compaction": lambda: compact(self.catalog, self.store),
            "garbage": self.garbage.collect,
        }

    def flush_all(self) -> None:
        """Everything acknowledged is in visible blocks, or `FlushError`."""
        self.flush()
        if self.heads.waiting():
            raise FlushError("flush failed: the test says no")

    def push_entries(self, entries: Sequence[Entry]) -> int:
        """The position of their record; the entries are of one tenant."""
        pushed: list[BatchEntry] = [(entry.app, entry.ts, entry.line, {}) for entry in entries]
        return self.commit(entries[0].tenant, pushed)

    def hidden(self, tenant: TenantId) -> HiddenEntries:
        """What delete requests hide."""
        deletions = {tenant: self.pending.of(tenant)}
        return HiddenEntries(deletions, self.deleted_rows.find, Budget())

    def everything(self) -> dict[TenantId, Counter[bytes]]:
        """What queries of all tenants see."""
        return {tenant: self.lines(tenant) for tenant in TENANTS}

    def kill(self) -> None:
        """As kill -9: what was written stays written, synced or not."""
        self._leave()
        self.disk.kill()

    def power_off(self, chance: random.Random) -> None:
        """What was not synced may be lost."""
        self._leave()
        self.disk.power_off(chance)

    def _leave(self) -> None:
        leave_catalog(self.folder, self.catalog)
        with contextlib.suppress(OSError):
            os.close(self.journal._lock_file)


def leave_catalog(folder: Path, catalog: SwitchedCatalog) -> None:
    """Close it and put back its log, which an end without a close leaves."""
    paths = [folder / name for name in ("catalog.db", "catalog.db-wal")]
    left = {path: path.read_bytes() for path in paths if path.exists()}
    catalog.close()
    for path, content in left.items():
        path.write_bytes(content)
