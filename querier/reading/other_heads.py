"""What do other processes hold that is in no block yet? Asked of each, or read from its journal.

The catalog says which journals there are. A live ingester is asked for what it has of the selector;
one that does not answer in time, that is gone, or whose journal is being put into blocks is not
waited for: its journal is the truth, and is read instead. Only when that fails too something is
missing, which the answer tells, naming the journal.
Invariant: all of this happens before blocks are listed, so an entry that is flushed meanwhile is in
one of them, or in both and is dropped as a duplicate.
"""

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog
from prometheus_client import Counter

from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from narfi.core.threads import started_pool
from querier.budget import Budget
from storage.batch import LogBatch
from storage.catalog.leases import JournalRow, JournalState
from storage.head_exchange import HeadQuestion, HeadRun
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches

log = structlog.get_logger(__name__)

AT_ONCE = 16
"""Ingesters that are asked at once."""
SILENT_S = 10.0
"""How long one that did not answer is not asked again: its journal is read at once."""


HEADS_READ = Counter(
    "narfi_other_heads_read_total",
    "Heads of other processes that queries needed: read from the ingester, journal, or nothing.",
    ["source"],
)


class AskHead(Protocol):
    """Asks an ingester over the network."""

    def __call__(self, journal: JournalRow, question: HeadQuestion) -> Sequence[HeadRun]:
        """What it holds; raises `AppError` in time, also when it has not that journal."""
        ...


@dataclass(frozen=True, slots=True)
class JournalEntries:
    """What a journal holds that may be in no block, and what of it cannot be read."""

    batches: Sequence[LogBatch]
    damaged: Sequence[str] = ()


ReadJournal = Callable[[str, TenantId], JournalEntries]
"""The entries of a tenant in a journal; raises `AppError` when it cannot be read."""


@dataclass(frozen=True, slots=True)
class OtherFound:
    """Sources of a question, and a text for each journal of which something may be missing."""

    sources: tuple[LogSource, ...] = ()
    missing: tuple[str, ...] = ()


class OtherHeads:
    """The heads of all other processes; thread-safe. Close it."""

    def __init__(
        self,
        *,
        journals: Callable[[], Sequence[JournalRow]],
        ask: AskHead,
        read: ReadJournal,
        is_mine: Callable[[str], bool],
    ) -> None:
        """`is_mine`: whether a journal's head is in this process, and read there."""
        self._journals, self._ask, self._read, self._is_mine = journals, ask, read, is_mine
        self._silent: dict[str, float] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor = started_pool(AT_ONCE, "heads")

    def found(self, question: HeadQuestion, budget: Budget) -> OtherFound:
        """What they hold, charged to the budget until the request ends; before blocks are listed.

        Raises `CatalogError` when nobody knows which journals there are.
        """
        rows = [row for row in self._journals() if not self._is_mine(row.journal_id)]
        answers = list(self._pool.map(partial(self._of, question), rows))
        budget.check()
        sources: list[LogSource] = []
        missing: list[str] = []
        for runs, told in answers:
            missing += told
            for run in runs:
                source = _source(run)
                budget.charge(_bytes(run.batch))
                sources.append(source)
        return OtherFound(tuple(sources), tuple(missing))

    def _of(self, question: HeadQuestion, row: JournalRow) -> tuple[list[HeadRun], list[str]]:
        """One journal: of its ingester, or of the journal itself."""
        if row.state is JournalState.LIVE and row.address and not self._is_silent(row.journal_id):
            try:
                found_there = list(self._ask(row, question))
                HEADS_READ.labels("ingester").inc()
                return found_there, []
            except AppError as error:
                log.warning(
                    "an ingester does not answer, its journal is read",
                    journal=row.journal_id,
                    address=row.address,
                    error=error.message,
                )
                with self._lock:
                    self._silent[row.journal_id] = time.monotonic() + SILENT_S
        try:
            found = self._read(row.journal_id, question.tenant)
            HEADS_READ.labels("journal").inc()
        except AppError as error:
            HEADS_READ.labels("nothing").inc()
            return [], [_told(row, error.message)]
        batches = [batch for batch in found.batches if len(batch)]
        damaged = [_told(row, text) for text in found.damaged]
        if not batches:
            return [], damaged
        return [HeadRun(f"journal {row.journal_id}", merge_batches(batches))], damaged

    def _is_silent(self, journal_id: str) -> bool:
        with self._lock:
            until = self._silent.get(journal_id)
            if until is not None and until <= time.monotonic():
                del self._silent[journal_id]
                return False
            return until is not None

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _source(run: HeadRun) -> MemorySource:
    """The rows are those of one question, so no other source ever has its id."""
    return MemorySource(run.batch, f"{run.cut_id}@{uuid.uuid4().hex}", run.cut_id)


def _bytes(batch: LogBatch) -> int:
    """What a run holds in memory, about."""
    assert batch.lines is not None
    return batch.lines.nbytes() + 24 * len(batch)


def _told(row: JournalRow, reason: str) -> str:
    return (
        f"entries that the ingester at {row.address} acknowledged may be missing: neither it nor "
        f"its journal {row.journal_id} can be read ({reason})"
    )
