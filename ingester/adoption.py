"""What becomes of the journal of an ingester that is gone? Another one puts it into blocks.

Any process that has the role takes a lease that ran out, seals the next number, so that the old
writer can add nothing, replays what is behind the watermarks into heads of its own, flushes them
under the old journal's id, and retires it. Whoever dies half-way leaves the lease to the next one.
Invariant: a journal is retired only when all of its records are in visible blocks; what was
published before an adopter died is behind the watermark of the next one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import structlog

from ingester.commit import Ledger
from ingester.flush import Flusher, FlushSettings
from ingester.head import Heads
from ingester.lease import HeldLeases, JournalLease
from ingester.losses import BEHIND_END, tell_loss
from ingester.records import decode_record_body
from ingester.streams import StreamResolver
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import LimitsOf
from storage.catalog.base import Catalog
from storage.catalog.leases import JournalRow, Leases
from storage.journal.base import Damage, StoredRecord
from storage.journal.numbered import first_position
from storage.journal.numbers import Commit, JournalNumbers, seal
from storage.journal.objects import damage_of
from storage.objects.base import SharedObjects
from storage.store import BlockStore

log = structlog.get_logger(__name__)

FLUSH_S = 300.0
"""For all that an ingester may have left; the lease is renewed meanwhile."""
NEVER_NS = 1 << 62


class AdoptionError(AppError):
    """A journal could not be put into blocks; it will be tried again."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who takes leases."""

    name: str
    address: str
    ttl_s: float
    journal_id: str = ""  # its own journal, which it renews and never adopts


@dataclass(frozen=True, slots=True)
class _Adopted:
    """A journal as the flusher knows it; what it may forget is decided at the end."""

    journal_id: str

    def truncate(self, up_to: int) -> None:
        """Not now."""


class Adopter:
    """Takes over journals of others; used by one thread."""

    def __init__(
        self,
        *,
        leases: Leases,
        held: HeldLeases,
        holder: Holder,
        objects: SharedObjects,
        numbers: JournalNumbers,
        store: BlockStore,
        catalog: Catalog,
        clock: Clock,
        limits_of: LimitsOf,
        part_bytes: int,
    ) -> None:
        self._leases, self._held, self._holder = leases, held, holder
        self._objects, self._numbers, self._store = objects, numbers, store
        self._catalog, self._clock, self._limits_of = catalog, clock, limits_of
        self._part_bytes = part_bytes

    def run(self) -> int:
        """Take over every journal whose lease ran out; how many."""
        done, began = 0, time.monotonic()
        while (row := self._take()) is not None:
            self._adopt(row, began)
            done, began = done + 1, time.monotonic()
        return done

    def _take(self) -> JournalRow | None:
        holder = self._holder
        ttl_ms = int(holder.ttl_s * 1000)
        return self._leases.take(holder.name, holder.address, ttl_ms, but=holder.journal_id)

    def _adopt(self, row: JournalRow, began_s: float) -> None:
        lease = JournalLease(
            leases=self._leases,
            numbers=self._numbers,
            fence=row.fence,
            ttl_s=self._holder.ttl_s,
            forgotten=row.forgotten,
            begun_s=began_s,
        )
        log.info("taking over a journal", journal=row.journal_id, epoch=row.epoch)
        self._held.add(lease)
        try:
            one = _Adoption(
                row,
                catalog=self._catalog,
                clock=self._clock,
                limits_of=self._limits_of,
                part_bytes=self._part_bytes,
            )
            one.replay(seal(self._objects, self._numbers, *_beginning(row)))
            one.flush(self._store, lease)
            lease.forget(one.last)
            if not lease.renew():
                raise AdoptionError(f"journal {row.journal_id} was taken over by another ingester")
            lease.delete_forgotten()
            self._leases.retire(row.fence)
        finally:
            self._held.remove(lease)
        log.info("a journal is in blocks", journal=row.journal_id, entries=one.entries)

    def sweep(self, kept_ms: int) -> int:
        """Delete the seals of journals that were retired so long ago; how many."""
        rows = self._leases.retired(kept_ms)
        for row in rows:
            for key in list(self._objects.list(f"journal/{row.journal_id}/")):
                self._objects.delete(key)
            self._leases.drop(row.journal_id)
        return len(rows)


def _beginning(row: JournalRow) -> tuple[str, int, int]:
    return row.journal_id, row.forgotten + 1, row.epoch


class _Adoption:
    """One journal on its way into blocks."""

    def __init__(
        self,
        row: JournalRow,
        *,
        catalog: Catalog,
        clock: Clock,
        limits_of: LimitsOf,
        part_bytes: int,
    ) -> None:
        self._journal_id, self._clock, self._limits_of = row.journal_id, clock, limits_of
        self._watermarks = catalog.watermarks(row.journal_id)
        self._tell: Callable[[Damage], None] = partial(tell_loss, catalog, clock, row.journal_id)
        self._heads = Heads(clock=clock, part_bytes=part_bytes, watch=lambda *_: None)
        self._ledger, self._resolver = Ledger(), StreamResolver()
        self._received_ns: int | None = None
        self.last = row.forgotten  # the newest number
        self.entries = 0

    def replay(self, commits: Iterator[Commit]) -> None:
        """What is behind the watermarks, into heads; what is missing is told."""
        damages: list[Damage] = []
        for commit in commits:
            self.last = commit.number
            if commit.damage is not None:
                damages.append(damage_of(commit.number, commit.damage, self._received_ns, None))
            for record in commit.records:
                self._put(record)
                damages = self._told(damages, record.received_ns)
        newest = max(self._watermarks.values(), default=0)
        first = first_position(self.last + 1)
        if newest >= first:
            damages.append(
                Damage(
                    first=first,
                    last=newest,
                    after_ns=self._received_ns,
                    before_ns=None,
                    reason=BEHIND_END,
                )
            )
        self._told(damages, None)
        self._ledger.recovered()

    def _put(self, record: StoredRecord) -> None:
        self._received_ns = record.received_ns
        if record.position <= self._watermarks.get(record.tenant, 0):
            self._ledger.replayed(record.position, None)
            return
        batch = decode_record_body(record, self._limits_of(record.tenant), self._resolver)
        self._ledger.replayed(
            record.position,
            lambda position: self._heads.take(record.tenant, batch, position).cut_id,
        )
        self.entries += len(batch)

    def _told(self, damages: list[Damage], before_ns: int | None) -> list[Damage]:
        for damage in damages:
            self._tell(replace(damage, before_ns=before_ns))
        return []

    def flush(self, store: BlockStore, lease: JournalLease) -> None:
        """Into visible blocks, with the watermarks of the old journal; raises `FlushError`."""
        flusher = Flusher(
            heads=self._heads,
            store=store,
            journal=_Adopted(self._journal_id),
            ledger=self._ledger,
            clock=self._clock,
            settings=FlushSettings(NEVER_NS),
            publish=partial(lease.publish, to=store),
        )
        flusher.start()
        try:
            flusher.flush_all(FLUSH_S)
        finally:
            flusher.stop()
