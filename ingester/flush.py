"""How does a head part become a visible block? Merge, write, publish, drop, in that order.

One thread flushes; a failed flush keeps the part readable and is tried again with back-off.
Invariant: the block row and the tenant's watermark commit together, and the head part is dropped
only afterwards; so a reader that asks heads first never misses an entry.
"""

import time
from dataclasses import dataclass

import structlog

from ingester.commit import Ledger
from ingester.head import Heads, Part
from ingester.metrics import (
    FLUSH_FAILURES,
    FLUSHED_BLOCKS,
    FLUSHED_BYTES,
    UNFLUSHED_BYTES,
)
from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Thread, Threads
from storage.catalog.base import BlockRow, CatalogConflictError, Watermark
from storage.journal.base import Journal
from storage.sorting import merge_batches
from storage.store import BlockStore

log = structlog.get_logger(__name__)

CHECK_INTERVAL_S = 1.0
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class FlushSettings:
    """When a part is cut without being full."""

    max_age_ns: int


class FlushError(AppError):
    """A flush that was asked for did not succeed in time; everything stays in the journal."""

    kind = ErrorKind.UNAVAILABLE


class Flusher:
    """The background thread that turns cut parts into blocks."""

    def __init__(
        self,
        heads: Heads,
        store: BlockStore,
        journal: Journal,
        ledger: Ledger,
        clock: Clock,
        settings: FlushSettings,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._heads, self._store = heads, store
        self._journal, self._ledger = journal, ledger
        self._clock, self._settings = clock, settings
        self._threads = threads
        self._wake, self._stopping = threads.event(), threads.event()
        self._flushed = threads.condition()
        self._failure: str | None = None
        self._failures = 0
        self._written: tuple[str, BlockRow] | None = None  # cut id, block: put, not published
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to flush in the background."""
        self._thread = self._threads.start("flusher", self._run)

    def wake(self) -> None:
        """A part became ready."""
        self._wake.set()

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
        self._wake.set()
        with self._flushed:
            while wanted & {part.cut_id for part in self._heads.waiting()}:
                if self._failures >= 2 and self._failure is not None:
                    raise FlushError(f"flush failed: {self._failure}")
                woken = self._flushed.wait(max(0.0, min(1.0, deadline - time.monotonic())))
                if not woken and time.monotonic() >= deadline:
                    raise FlushError("flush did not finish in time")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(CHECK_INTERVAL_S)
            self._wake.clear()
            self._heads.cut_old(self._clock.now_ns(), self._settings.max_age_ns)
            for part in self._heads.waiting():
                if self._stopping.is_set():
                    return
                if not self._flush(part):
                    break
            UNFLUSHED_BYTES.set(self._heads.bytes)

    def _flush(self, part: Part) -> bool:
        began = time.perf_counter()
        try:
            self._publish(part)
        except Exception as error:  # noqa: BLE001 - whatever it is, the part stays and is retried
            self._failed(error)
            return False
        self._ledger.flushed(part.cut_id)
        self._heads.drop(part)
        self._truncate()
        with self._flushed:
            self._failure, self._failures = None, 0
            self._flushed.notify_all()
        FLUSHED_BLOCKS.inc()
        FLUSHED_BYTES.inc(part.bytes)
        seconds = round(time.perf_counter() - began, 3)
        log.info(
            "block flushed",
            tenant=part.tenant,
            rows=part.rows,
            bytes=part.bytes,
            s=seconds,
        )
        return True

    def _publish(self, part: Part) -> None:
        watermark = Watermark(self._journal.journal_id, part.tenant, part.last_position)
        row = None
        if part.rows:
            row = self._block_of(part)
        try:
            self._store.publish(row, watermark)
        except CatalogConflictError:
            self._written = None  # its objects may be deleted: write it again
            raise
        self._written = None

    def _block_of(self, part: Part) -> BlockRow:
        """The part as a block; the same one again when only its publishing failed."""
        if self._written is not None and self._written[0] == part.cut_id:
            return self._written[1]
        row = self._store.write(
            merge_batches(part.batches),
            part.tenant,
            part.cut_id,
            journals={self._journal.journal_id: part.last_position},
        )
        self._written = part.cut_id, row
        return row

    def _failed(self, error: Exception) -> None:
        FLUSH_FAILURES.inc()
        unforeseen = None if isinstance(error, AppError | OSError) else error  # with its traceback
        log.error("flush failed, will be tried again", error=str(error), exc_info=unforeseen)
        with self._flushed:
            self._failure, self._failures = str(error), self._failures + 1
            self._flushed.notify_all()
        pause = min(FIRST_RETRY_S * 2 ** min(self._failures, 10), LAST_RETRY_S)
        self._stopping.wait(pause)
        self._wake.set()

    def _truncate(self) -> None:
        try:
            self._journal.truncate(self._ledger.forgettable())
        except OSError as error:
            log.warning("old journal segments could not be deleted", error=str(error))
