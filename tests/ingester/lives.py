"""A process of the write path in a folder, that can be killed, starved and started again.

Everything is real but threads: a push commits and applies, a flush cuts, encodes, puts and
publishes, upkeep merges and deletes, each when the test says so.
"""

import contextlib
import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from ingester.commit import Ledger, commit
from ingester.flush import Flusher, FlushSettings
from ingester.head import Heads
from ingester.records import CODEC_ARROW
from ingester.recovery import recover
from narfi.core.clock import Clock, ManualClock
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Event, SystemThreads, Threads
from querier.reading.duplicates import DuplicateIndex
from querier.reading.hiding import HiddenEntries
from querier.reading.view import take_view
from storage.batch_bytes import encode_batch
from storage.block.pins import Pins
from storage.catalog.base import BlockRow, CatalogError, Fence, Intent, Watermark
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Record
from storage.journal.file import FileJournal
from storage.known import check_blocks_are_known
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.store import BlockStore, StoreServices
from tests.faults.crash_disk import CrashDisk
from tests.storage.batches import Entry, batch_of, entries_of
from tests.upkeep.fresh import compact, worker_of
from upkeep.garbage import GarbageCollector

T = TypeVar("T")

ALL = (Matcher("app", MatchOp.RE, ".+"),)
SEGMENT_BYTES = 2000
PART_BYTES = 1 << 16
GRACE_NS = 3600 * 10**9


class ImpatientEvent:
    """An event whose waits end at once: nobody sleeps in these tests."""

    def __init__(self, inner: Event) -> None:
        self._inner = inner
        self.set, self.clear, self.is_set = inner.set, inner.clear, inner.is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is up now."""
        return self._inner.is_set()


class ImpatientThreads(SystemThreads):
    """Threads whose events do not wait."""

    def event(self) -> Event:
        """One that does not wait."""
        return ImpatientEvent(super().event())


class Switch:
    """Makes one of the next steps fail: before it was done, or after, unknown to the caller."""

    def __init__(self) -> None:
        self.steps = 0
        self._at, self._after = -1, False

    def arm(self, steps_from_now: int, *, after: bool) -> None:
        """The step after so many others fails, once."""
        self._at, self._after = self.steps + steps_from_now, after

    def disarm(self) -> None:
        """No step fails any more."""
        self._at = -1

    def step(self, do: Callable[[], T]) -> T:
        """Do it, or fail."""
        number, self.steps = self.steps, self.steps + 1
        if number == self._at and not self._after:
            raise CatalogError("the test says no")
        result = do()
        if number == self._at:
            raise CatalogError("done, and nobody knows")
        return result


class SwitchedCatalog(SqlCatalog):
    """A catalog whose transactions are steps."""

    def __init__(self, url: str, clock: Clock, switch: Switch) -> None:
        super().__init__(url, clock)
        self._switch = switch

    def intend(self, intent: Intent) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(SwitchedCatalog, self).intend(intent))

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(SwitchedCatalog, self).publish(blocks, watermarks, fence))

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(SwitchedCatalog, self).replace(removed, added))

    def abandon(self, block_ids: Sequence[str]) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(SwitchedCatalog, self).abandon(block_ids))

    def forget(self, block_ids: Sequence[str]) -> None:
        """Commit, or fail."""
        self._switch.step(lambda: super(SwitchedCatalog, self).forget(block_ids))


class Process:
    """One life of the server's write path in a folder."""

    make_catalog: type[SwitchedCatalog] = SwitchedCatalog
    threads: Threads = SYSTEM_THREADS
    flusher_threads: Threads = ImpatientThreads()
    flush_age_ns = 10**18
    grace_ns = GRACE_NS

    def __init__(
        self,
        folder: Path,
        clock: ManualClock,
        disk: CrashDisk | None = None,
        switch: Switch | None = None,
    ) -> None:
        self.folder, self.clock, self.ended = folder, clock, False
        self.disk, self.switch = disk or CrashDisk(), switch or Switch()
        self.journal = FileJournal(
            folder / "journal", SEGMENT_BYTES, disk=self.disk, threads=self.threads
        )
        try:
            self._begin()
        except BaseException:  # as the end of the process: its lock is free again
            os.close(self.journal._lock_file)
            raise

    def _begin(self) -> None:
        folder, clock = self.folder, self.clock
        self.catalog = self.make_catalog(f"sqlite:///{folder}/catalog.db", clock, self.switch)
        self.objects = self.make_objects()
        self.objects.discard_unfinished()
        services = self.services = StoreServices(
            self.catalog, self.objects, clock, Pins(self.threads)
        )
        self.store = BlockStore(services, 1 << 20)
        check_blocks_are_known(self.catalog, self.objects)
        self.garbage = GarbageCollector(
            services, self.grace_ns, worker_of(self.catalog, self.store)
        )
        self.garbage.begin()
        self.heads = Heads(
            clock=clock, part_bytes=PART_BYTES, watch=lambda *_: None, threads=self.threads
        )
        self.ledger = Ledger(end=self._end, threads=self.threads)
        self.journal.when_durable(self.ledger.durable)
        self.flusher = Flusher(
            heads=self.heads,
            store=self.store,
            journal=self.journal,
            ledger=self.ledger,
            clock=clock,
            settings=FlushSettings(self.flush_age_ns),
            threads=self.flusher_threads,
        )
        recover(
            self.journal,
            self.catalog,
            self.ledger,
            self.heads,
            clock,
            lambda _: Limits(),
            lambda _: None,
        )

    def make_objects(self) -> LocalObjects:
        """The objects of blocks."""
        return LocalObjects(self.folder / "objects", self.disk)

    def _end(self, _message: str) -> None:
        self.ended = True

    def push(self, tenant: TenantId, lines: Sequence[bytes], ts: int) -> int:
        """Lines at `ts` and the ns behind it; the record's position, or an error of the journal."""
        return self.commit(tenant, [("a", ts + k, line, {}) for k, line in enumerate(lines)])

    def commit(self, tenant: TenantId, entries: Sequence[Entry]) -> int:
        """Entries as a push commits them; the position of their record."""
        batch = batch_of(entries)
        record = Record(
            tenant=tenant,
            received_ns=self.clock.now_ns(),
            codec=CODEC_ARROW,
            decided=b"",
            body=encode_batch(batch),
        )
        found = 0

        def put(position: int) -> str:
            nonlocal found
            found = position
            return self.heads.take(tenant, batch, position).cut_id

        commit(self.journal, self.ledger, record, put)
        return found

    def flush(self) -> None:
        """Cut everything and try each part once."""
        self.heads.cut()
        for part in self.heads.waiting():
            if not self.flusher._flush([part]):
                return

    def upkeep(self) -> None:
        """Merge and delete; what fails is tried again some other time."""
        with contextlib.suppress(AppError):
            compact(self.catalog, self.store)
        with contextlib.suppress(AppError):
            self.garbage.collect()

    def hidden(self, tenant: TenantId) -> HiddenEntries | None:
        """What delete requests hide, where a test makes any."""
        return None

    def lines(self, tenant: TenantId) -> Counter[bytes]:
        """What a query sees, and how often."""
        found: Counter[bytes] = Counter()
        with self.store.reading() as blocks:
            times = (0, 2**62)
            view = take_view(
                self.heads, blocks, DuplicateIndex(), tenant, times, ALL, self.hidden(tenant)
            )
            for source in view.sources:
                table = source.source.table
                rows = np.flatnonzero(np.repeat(source.streams, table.rows))
                batch = source.source.fetch(np.setdiff1d(rows, source.excluded), Columns())
                found.update(line for _, _, line, _ in entries_of(batch))
        return found

    def stop(self) -> None:
        """As SIGTERM: everything acknowledged is in the journal or in blocks."""
        self.disk.disarm()
        self.journal.close()
        self.catalog.close()

    def stop_quietly(self) -> None:
        """As `stop`, with a fault that waits left in place for the next life."""
        self.journal.close()
        self.catalog.close()

    def power_off(self, chance: random.Random) -> None:
        """No step is finished, and what was not synced may be lost."""
        self.disk.disarm()
        self.catalog.close()
        with contextlib.suppress(OSError):
            os.close(self.journal._lock_file)
        self.disk.power_off(chance)
