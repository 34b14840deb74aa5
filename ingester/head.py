"""Which acknowledged entries are not in a block yet? Parts per tenant, readable as sources.

A part gathers the batches of pushes in journal order until it is cut: when it is full, or old, or
the largest while all heads together take half of what they may and nothing else waits for a flush.
A cut part stays readable until its block is published. Invariant: `take` is called in journal order
(`commit.py` sees to it); a part knows the newest position in it, and parts of a tenant are dropped
in the order in which they were cut.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from ingester.arena import Arena, ArenaPool
from ingester.cost import cost_of
from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Lock, Threads
from storage.batch import LogBatch
from storage.lines.plain import PlainLines
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches

log = structlog.get_logger(__name__)

FIRST_FLUSH_S = 1.0
"""What the flush of a full part is thought to take before there was one."""
LARGE = 4
"""Parts of at least a full one divided by this tell the speed of flushes."""
MAX_SOURCES = 8
"""Sorted runs of a part before a reader merges them into one."""


@dataclass(slots=True, kw_only=True)
class Part:
    """Batches of one tenant that will become one block."""

    tenant: TenantId
    arena: Arena
    created_ns: int
    last_position: int = 0
    cut_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    batches: list[LogBatch] = field(default_factory=list)
    bytes: int = 0  # of lines
    cost: int = 0  # see cost.py
    rows: int = 0
    encoded: int = 0  # of `cost`, in the block that is being written
    # runs made for readers: `merged` batches are in `sources` already
    sources: list[MemorySource] = field(default_factory=list)
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a batch went, and whether a part became ready to flush."""

    cut_id: str
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What of a tenant is not in a block yet, by cost."""

    cut: int = 0
    left: int = 0  # of the cut parts, without what the flush under way has encoded
    active: int = 0
    tenants: int = 0  # that have cut parts
    speed: float = 1.0  # of the last flush of a large part, in cost a second


@dataclass(slots=True)
class _Tenant:
    """The parts of a tenant: the active one and those waiting for their blocks, oldest first."""

    reading: Lock
    active: Part | None = None
    cut: list[Part] = field(default_factory=list)

    def held(self) -> int:
        """What all of its parts cost."""
        return sum(part.cost for part in self.cut) + (self.active.cost if self.active else 0)


class Heads:
    """All heads of the process; a `SourceProvider`; thread-safe."""

    def __init__(
        self,
        *,
        clock: Clock,
        part_bytes: int,
        watch: Callable[[TenantId, LogBatch], None],
        threads: Threads = SYSTEM_THREADS,
        max_bytes: int = 1 << 62,
    ) -> None:
        self._watch = watch  # told of every batch once it is visible; must return at once
        self._clock, self.part_bytes, self.max_bytes = clock, part_bytes, max_bytes
        self._pool = ArenaPool(part_bytes + part_bytes // 8)
        self._tenants: dict[TenantId, _Tenant] = {}
        self._threads = threads
        self._lock = threads.lock()
        self._bytes = self._waiting = 0
        self._speed = part_bytes / FIRST_FLUSH_S
        self._flushed: list[Callable[[TenantId], None]] = []

    @property
    def bytes(self) -> int:
        """What the entries that are in no visible block cost."""
        return self._bytes

    def counts(self) -> Mapping[str, int]:
        """Parts by their state, `active` or `cut`."""
        with self._lock:
            tenants = self._tenants.values()
            active = sum(1 for mine in tenants if mine.active is not None)
            return {"active": active, "cut": self._waiting}

    def held(self, tenant: TenantId) -> int:
        """What the tenant's share of them costs."""
        with self._lock:
            mine = self._tenants.get(tenant)
            return 0 if mine is None else mine.held()

    def oldest_ns(self) -> int | None:
        """When the oldest part that is in no visible block was begun; None: there is none."""
        with self._lock:
            firsts = [mine.cut[0] if mine.cut else mine.active for mine in self._tenants.values()]
        return min((part.created_ns for part in firsts if part is not None), default=None)

    def backlog(self, tenant: TenantId) -> Backlog:
        """What the flush of the tenant has to do; nothing while it has no cut part."""
        with self._lock:
            mine = self._tenants.get(tenant)
            if mine is None or not mine.cut:
                return Backlog()
            return Backlog(
                cut=sum(part.cost for part in mine.cut),
                left=sum(part.cost - part.encoded for part in mine.cut),
                active=mine.active.cost if mine.active else 0,
                tenants=sum(1 for other in self._tenants.values() if other.cut),
                speed=self._speed,
            )

    def when_flushed(self, tell: Callable[[TenantId], None]) -> None:
        """Call it when a part was dropped or its flush went on, on the flusher's thread.

        It must return at once.
        """
        self._flushed.append(tell)

    def encoded(self, part: Part, share: float) -> None:
        """The flush of a cut part has done so much of its work, of 1; less when it begins anew."""
        with self._lock:
            part.encoded = int(part.cost * share)
        for tell in self._flushed:
            tell(part.tenant)

    def took(self, part: Part, seconds: float) -> None:
        """The flush of a part took so long; a small one says nothing of the speed of others."""
        if part.cost * LARGE >= self.part_bytes:
            self._speed = part.cost / max(seconds, 1e-3)

    def give_back_idle(self) -> int:
        """Give memory that no part wanted since the last call to the system; how many arenas."""
        return self._pool.give_back_idle()

    def take(self, tenant: TenantId, batch: LogBatch, position: int) -> Taken:
        """Make a durable batch visible."""
        assert batch.lines is not None
        size = batch.lines.nbytes()
        cost = cost_of(batch, size)
        with self._lock:
            mine = self._tenants.setdefault(tenant, _Tenant(self._threads.lock()))
            ready = False
            if mine.active is not None and not mine.active.arena.fits(size):
                self._cut(mine)
                ready = True
            part = mine.active
            if part is None:
                arena = self._pool.arena(size)
                part = mine.active = Part(
                    tenant=tenant, arena=arena, created_ns=self._clock.now_ns()
                )
            part.last_position = position
            if len(batch):
                lines = PlainLines(part.arena.take(batch.lines.spans()))
                part.batches.append(
                    LogBatch(
                        table=batch.table,
                        stream=batch.stream,
                        ts=batch.ts,
                        rows=batch.rows,
                        lines=lines,
                        metadata=batch.metadata,
                    )
                )
            part.bytes += size
            part.cost += cost
            part.rows += len(batch)
            self._bytes += cost
            if part.cost >= self.part_bytes:
                self._cut(mine)
                ready = True
            elif self._bytes > self.max_bytes // 2 and not self._waiting:
                self._cut_largest()
                ready = True
        self._tell(tenant, batch)
        return Taken(part.cut_id, ready)

    def _tell(self, tenant: TenantId, batch: LogBatch) -> None:
        """Hand the batch to those who follow; what goes wrong there is not the push's fault."""
        try:
            self._watch(tenant, batch)
        except Exception as error:  # noqa: BLE001 - a fault of a follower stays there
            log.error("a batch could not be handed to live tails", error=repr(error))

    def _cut(self, mine: _Tenant) -> None:
        if mine.active is not None:
            mine.cut.append(mine.active)
            mine.active = None
            self._waiting += 1

    def _cut_largest(self) -> None:
        """Many tenants with a little each, none of them full: the largest part goes first."""
        self._cut(max(self._tenants.values(), key=lambda t: t.active.cost if t.active else -1))

    def cut(self, tenant: TenantId | None = None) -> None:
        """Close active parts: of one tenant or all."""
        with self._lock:
            for mine in self._tenants.values() if tenant is None else [self._tenants[tenant]]:
                self._cut(mine)

    def cut_old(self, now_ns: int, max_age_ns: int) -> None:
        """Close active parts of that age.

        Those from so far in the future too: the clock was put back, and would else have to come
        there again before the part goes and the journal can forget its records.
        """
        with self._lock:
            for mine in self._tenants.values():
                if mine.active is not None and abs(now_ns - mine.active.created_ns) >= max_age_ns:
                    self._cut(mine)

    def waiting(self) -> list[Part]:
        """Cut parts, oldest first per tenant."""
        with self._lock:
            return [part for mine in self._tenants.values() for part in mine.cut]

    def next_round(self) -> list[Part]:
        """The oldest cut part of each tenant that has any, oldest first."""
        with self._lock:
            found = [mine.cut[0] for mine in self._tenants.values() if mine.cut]
        return sorted(found, key=lambda part: part.created_ns)

    def drop(self, part: Part) -> None:
        """Forget a part whose block is published."""
        with self._lock:
            mine = self._tenants[part.tenant]
            assert mine.cut[0] is part, "parts are dropped in the order of their cuts"
            mine.cut.pop(0)
            self._bytes -= part.cost
            self._waiting -= 1
            if mine.active is None and not mine.cut:
                del self._tenants[part.tenant]
        for tell in self._flushed:
            tell(part.tenant)

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """Sorted runs of everything unflushed that may hold entries of the range."""
        with self._lock:
            mine = self._tenants.get(tenant)
            if mine is None:
                return []
            parts = [*mine.cut, *([mine.active] if mine.active else [])]
            fresh = [(part, list(part.batches)) for part in parts]
        found: list[LogSource] = []
        with mine.reading:
            for part, batches in fresh:
                found.extend(_runs(part, batches))
        return [s for s in found if s.max_ts >= start_ns and s.min_ts < end_ns]


def _runs(part: Part, batches: list[LogBatch]) -> list[MemorySource]:
    """The part's sorted runs, with batches that came since the last reader in one more.

    Called under the tenant's reading lock; pushes are not held up by it.
    """
    if len(batches) > part.merged:
        run = merge_batches(batches[part.merged :])
        part.sources.append(_source(part, run, part.merged, len(batches)))
        part.merged = len(batches)
        if len(part.sources) > MAX_SOURCES:
            whole = merge_batches([source.batch for source in part.sources])
            part.sources = [_source(part, whole, 0, part.merged)]
    return list(part.sources)


def _source(part: Part, run: LogBatch, first: int, end: int) -> MemorySource:
    return MemorySource(run, f"{part.cut_id}/{first}-{end}", part.cut_id)
