"""Which acknowledged entries are not in a block yet? Parts per tenant, readable as sources.

A part gathers the batches of pushes in journal order until it is cut; a cut part stays readable
until its block is published. Invariant: `take` is called in journal order (`commit.py` sees to it);
a part knows the newest position in it, and parts of a tenant are dropped in the order in which they
were cut.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from ingester.arena import Arena, ArenaPool
from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Lock, Threads
from storage.batch import LogBatch
from storage.lines.plain import PlainLines
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches

log = structlog.get_logger(__name__)

MAX_WAITING = 1
"""Cut parts beyond the one being flushed before pushes wait: bounds memory under a burst."""

MAX_SOURCES = 8
"""Sorted runs of a part before a reader merges them into one."""


@dataclass(slots=True)
class Part:
    """Batches of one tenant that will become one block."""

    tenant: TenantId
    arena: Arena
    created_ns: int
    last_position: int = 0
    cut_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    batches: list[LogBatch] = field(default_factory=list)
    bytes: int = 0
    rows: int = 0
    # runs made for readers: `merged` batches are in `sources` already
    sources: list[MemorySource] = field(default_factory=list)
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a batch went, and whether a part became ready to flush."""

    cut_id: str
    ready: bool


@dataclass(slots=True)
class _Tenant:
    """The parts of a tenant: the active one and those waiting for their blocks, oldest first."""

    reading: Lock
    active: Part | None = None
    cut: list[Part] = field(default_factory=list)


class Heads:
    """All heads of the process; a `SourceProvider`; thread-safe."""

    def __init__(
        self,
        clock: Clock,
        part_bytes: int,
        watch: Callable[[TenantId, LogBatch], None],
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._watch = watch  # told of every batch once it is visible; must return at once
        self._clock, self._part_bytes = clock, part_bytes
        self._pool = ArenaPool(part_bytes + part_bytes // 8)
        self._tenants: dict[TenantId, _Tenant] = {}
        self._threads = threads
        self._lock = self._room = threads.condition()  # told when a part was dropped
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Line bytes that are in no visible block."""
        return self._bytes

    def take(self, tenant: TenantId, batch: LogBatch, position: int) -> Taken:
        """Make a durable batch visible."""
        assert batch.lines is not None
        size = batch.lines.nbytes()
        with self._lock:
            mine = self._tenants.setdefault(tenant, _Tenant(self._threads.lock()))
            ready = False
            if mine.active is not None and not mine.active.arena.fits(size):
                self._cut(mine)
                ready = True
            part = mine.active
            if part is None:
                arena = self._pool.arena(size)
                part = mine.active = Part(tenant, arena, self._clock.now_ns())
            part.last_position = position
            if len(batch):
                lines = PlainLines(part.arena.take(batch.lines.spans()))
                part.batches.append(
                    LogBatch(
                        batch.table,
                        batch.stream,
                        batch.ts,
                        batch.rows,
                        lines,
                        batch.metadata,
                    )
                )
            part.bytes += size
            part.rows += len(batch)
            self._bytes += size
            if part.bytes >= self._part_bytes:
                self._cut(mine)
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

    def cut(self, tenant: TenantId | None = None) -> None:
        """Close active parts: of one tenant or all."""
        with self._lock:
            for mine in self._tenants.values() if tenant is None else [self._tenants[tenant]]:
                self._cut(mine)

    def cut_old(self, now_ns: int, max_age_ns: int) -> None:
        """Close active parts of that age.

        Those from so far in the future too: the clock was put back, and would else have to come
        there again before the part goes and the journal can forget its frames.
        """
        with self._lock:
            for mine in self._tenants.values():
                if mine.active is not None and abs(now_ns - mine.active.created_ns) >= max_age_ns:
                    self._cut(mine)

    def wait_for_room(self, timeout_s: float) -> None:
        """Let a push wait while flushing is behind; it goes on after the time in any case."""
        deadline = time.monotonic() + timeout_s
        with self._room:
            while sum(len(mine.cut) for mine in self._tenants.values()) > MAX_WAITING:
                if not self._room.wait(max(0.0, deadline - time.monotonic())):
                    return

    def waiting(self) -> list[Part]:
        """Cut parts, oldest first per tenant."""
        with self._lock:
            return [part for mine in self._tenants.values() for part in mine.cut]

    def drop(self, part: Part) -> None:
        """Forget a part whose block is published."""
        with self._lock:
            mine = self._tenants[part.tenant]
            assert mine.cut[0] is part, "parts are dropped in the order of their cuts"
            mine.cut.pop(0)
            self._bytes -= part.bytes
            self._room.notify_all()
            if mine.active is None and not mine.cut:
                del self._tenants[part.tenant]

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
