"""How does a head part become a visible block? Merge, write, publish, drop, in that order.

One thread flushes, in rounds: the oldest cut part of each tenant, then anew, so no tenant waits for
all of another one's. Small parts are written one by one and published in one transaction. A part
that fails stays readable and is tried again with back-off, while others go on; when one after
another fails, all flushing pauses.
Invariant: the block row and the tenant's watermark commit together, and the head part is dropped
only afterwards; so a reader that asks heads first never misses an entry. A round has one part of a
tenant at most, so a watermark never passes a part that was cut before.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from ingester.commit import Ledger
from ingester.head import Heads, Part
from ingester.metrics import (
    FLUSH_FAILURES,
    FLUSH_SECONDS,
    FLUSHED_BLOCKS,
    FLUSHED_BYTES,
)
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Thread, Threads
from storage.block.progress import part_of
from storage.catalog.base import BlockRow, CatalogConflictError, Watermark
from storage.sorting import merge_batches
from storage.store import BlockStore

log = structlog.get_logger(__name__)

Publish = Callable[[Sequence[BlockRow], Sequence[Watermark]], None]

CHECK_INTERVAL_S = 1.0
SMALL_BYTES = 1 << 20
"""Parts that cost at most this are published together."""
GROUP_BYTES, GROUP_PARTS = 8 << 20, 64
"""So much and so many of them: all of a group are on disk before the first one is visible."""
MERGED = 0.1
"""The share of a block that is done when its rows are in order."""
FAILURES_TOLD = 2
"""Who asked for a flush is told when it failed so often since."""
FAILURES_BEFORE_PAUSE = 2
"""So many in a row, of different parts, are not the parts' fault."""
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class FlushSettings:
    """When a part is cut without being full."""

    max_age_ns: int


@dataclass(slots=True)
class _Trouble:
    """A part whose flush failed."""

    tenant: TenantId
    failures: int
    message: str
    retry_s: float  # on the monotonic clock


@dataclass(frozen=True, slots=True)
class FlushTrouble:
    """What keeps entries of a tenant from being in a block."""

    tenant: TenantId
    failures: int  # one after another
    error: str


class FlushedJournal(Protocol):
    """What a flush needs of the journal whose records it puts into blocks."""

    @property
    def journal_id(self) -> str:
        """Its name in watermarks."""
        ...

    def truncate(self, up_to: int) -> None:
        """Records with position <= `up_to` are no longer needed."""
        ...


class FlushError(AppError):
    """A flush that was asked for did not succeed in time; everything stays in the journal."""

    kind = ErrorKind.UNAVAILABLE


class Flusher:
    """The background thread that turns cut parts into blocks."""

    def __init__(
        self,
        *,
        heads: Heads,
        store: BlockStore,
        journal: FlushedJournal,
        ledger: Ledger,
        clock: Clock,
        settings: FlushSettings,
        threads: Threads = SYSTEM_THREADS,
        publish: Publish | None = None,
    ) -> None:
        """`publish`: how blocks and watermarks are committed; the store's own way, or a fenced one.

        It raises what `Catalog.publish` does.
        """
        self._heads, self._store, self._commit = heads, store, publish or store.publish
        self._journal, self._ledger = journal, ledger
        self._clock, self._settings = clock, settings
        self._threads = threads
        self._wake, self._stopping = threads.event(), threads.event()
        self._flushed = threads.condition()
        self._troubles: dict[str, _Trouble] = {}  # by cut id
        self._pauses = 0  # one after another
        self._written: dict[
            str, BlockRow | None
        ] = {}  # by cut id: put, not published; None: no rows
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to flush in the background."""
        self._thread = self._threads.start("flusher", self._run)

    def wake(self) -> None:
        """A part became ready."""
        self._wake.set()

    def is_failing(self, tenant: TenantId) -> bool:
        """Whether waiting for a flush of the tenant is in vain for now."""
        with self._flushed:
            return self._pauses > 0 or any(t.tenant == tenant for t in self._troubles.values())

    def troubles(self) -> list[FlushTrouble]:
        """Parts whose flush failed and is tried again, the worst first."""
        with self._flushed:
            found = [FlushTrouble(t.tenant, t.failures, t.message) for t in self._troubles.values()]
        return sorted(found, key=lambda one: (-one.failures, one.tenant))

    def stop(self) -> None:
        """Finish the flush under way; what is left stays in the journal."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def flush_all(self, timeout_s: float = 300.0) -> None:
        """Return when everything acknowledged before the call is in visible blocks."""
        self._heads.cut()
        wanted = {part.cut_id for part in self._heads.waiting()}
        deadline = time.monotonic() + timeout_s
        with self._flushed:
            earlier = {cut_id: trouble.failures for cut_id, trouble in self._troubles.items()}
            for trouble in self._troubles.values():
                trouble.retry_s = 0.0
            self._wake.set()
            while wanted & {part.cut_id for part in self._heads.waiting()}:
                for cut_id in wanted & self._troubles.keys():
                    trouble = self._troubles[cut_id]
                    if trouble.failures - earlier.get(cut_id, 0) >= FAILURES_TOLD:
                        raise FlushError(f"flush failed: {trouble.message}")
                woken = self._flushed.wait(max(0.0, min(1.0, deadline - time.monotonic())))
                if not woken and time.monotonic() >= deadline:
                    raise FlushError("flush did not finish in time")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(CHECK_INTERVAL_S)
            self._wake.clear()
            while not self._stopping.is_set() and self._round():
                pass

    def _round(self) -> bool:
        """The oldest part of each tenant, once; whether it is worth to begin anew at once."""
        self._heads.cut_old(self._clock.now_ns(), self._settings.max_age_ns)
        flushed, in_a_row = False, 0
        for group in in_groups(self._due(self._heads.next_round())):
            if self._stopping.is_set():
                return False
            if self._flush(group):
                flushed, in_a_row, self._pauses = True, 0, 0
            else:
                in_a_row += 1
            if in_a_row == FAILURES_BEFORE_PAUSE:
                self._pause()
                return False
        return flushed

    def _due(self, parts: Sequence[Part]) -> list[Part]:
        """Those to be tried now; those that failed come last."""
        now = time.monotonic()
        troubles = self._troubles
        fresh = [part for part in parts if part.cut_id not in troubles]
        again = [p for p in parts if p.cut_id in troubles and troubles[p.cut_id].retry_s <= now]
        return fresh + again

    def _flush(self, parts: Sequence[Part]) -> int:
        """Put the parts into visible blocks; how many of them are in some now."""
        began = time.perf_counter()
        done = self._publish([part for part in parts if self._write(part)])
        for part in done:
            self._ledger.flushed(part.cut_id)
            self._heads.drop(part)
            FLUSHED_BLOCKS.inc()
            FLUSHED_BYTES.inc(part.bytes)
            seconds = time.perf_counter() - began
            FLUSH_SECONDS.observe(seconds)
            self._heads.took(part, seconds)
            log.info(
                "block flushed",
                tenant=part.tenant,
                rows=part.rows,
                bytes=part.bytes,
                s=round(seconds, 3),
            )
        if done:
            self._truncate()
        with self._flushed:
            for part in done:
                self._written.pop(part.cut_id)
                self._troubles.pop(part.cut_id, None)
            self._flushed.notify_all()
        return len(done)

    def _write(self, part: Part) -> bool:
        """Put the part's block, unless only its publishing failed the last time."""
        if part.cut_id in self._written:
            return True
        try:
            self._written[part.cut_id] = self._block_of(part) if part.rows else None
        except Exception as error:  # noqa: BLE001 - whatever it is, the part stays and is retried
            self._failed(part, error)
            return False
        return True

    def _block_of(self, part: Part) -> BlockRow:
        told = partial(self._heads.encoded, part)
        told(0.0)
        run = merge_batches(part.batches)
        told(MERGED)
        return self._store.write(
            run,
            part.tenant,
            part.cut_id,
            journals={self._journal.journal_id: part.last_position},
            progress=part_of(told, MERGED, 1.0),
        )

    def _publish(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Make the written parts visible, all or none; those that are now."""
        rows = [row for part in parts if (row := self._written[part.cut_id]) is not None]
        journal = self._journal.journal_id
        marks = [Watermark(journal, part.tenant, part.last_position) for part in parts]
        try:
            if parts:
                self._commit(rows, marks)
        except CatalogConflictError as error:
            if len(parts) > 1:  # one of them was given up: the others need not wait for it
                return [part for one in parts for part in self._publish([one])]
            self._written.pop(parts[0].cut_id)  # its objects may be deleted: write it again
            self._failed(parts[0], error)
            return []
        except Exception as error:  # noqa: BLE001 - as above
            for part in parts:
                self._failed(part, error)
            return []
        return parts

    def _failed(self, part: Part, error: Exception) -> None:
        FLUSH_FAILURES.inc()
        self._heads.encoded(part, 0.0)
        unforeseen = None if isinstance(error, AppError | OSError) else error  # with its traceback
        log.error(
            "flush failed, will be tried again",
            tenant=part.tenant,
            error=str(error),
            exc_info=unforeseen,
        )
        with self._flushed:
            before = self._troubles.get(part.cut_id)
            failures = 1 if before is None else before.failures + 1
            retry_s = time.monotonic() + _back_off(failures)
            self._troubles[part.cut_id] = _Trouble(part.tenant, failures, str(error), retry_s)
            self._flushed.notify_all()

    def _pause(self) -> None:
        with self._flushed:
            self._pauses += 1
        self._stopping.wait(_back_off(self._pauses))
        self._wake.set()

    def _truncate(self) -> None:
        try:
            self._journal.truncate(self._ledger.forgettable())
        except OSError as error:
            log.warning("old journal segments could not be deleted", error=str(error))


def in_groups(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Small parts together, as far as a group may grow; each other one alone."""
    group: list[Part] = []
    cost = 0
    for part in parts:
        if part.cost > SMALL_BYTES:
            yield [part]
            continue
        if group and (cost + part.cost > GROUP_BYTES or len(group) == GROUP_PARTS):
            yield group
            group, cost = [], 0
        group.append(part)
        cost += part.cost
    if group:
        yield group


def _back_off(failures: int) -> float:
    return float(min(FIRST_RETRY_S * 2 ** min(failures - 1, 10), LAST_RETRY_S))
