"""Who knows where a record of the journal is? The ledger, and nobody else.

A record goes through four states, in this order:

    durable    the journal has synced it; its push is not answered yet
    applied    its entries are in a head part: queries see them, the push is answered
    flushed    the part is a visible block: the catalog's watermark covers the record
    forgotten  the journal may delete it

`durable` is called by the journal, `apply` by the push that the record belongs to (or by recovery),
`flushed` by the flusher after the catalog's commit; `forgettable` is the only answer to what the
journal may delete. All of them hold one lock, so no step falls between two looks at the others.

Invariants: batches are applied in the order of positions; a record that is durable and not flushed
is never forgettable, nor is anything while the journal is replayed. A durable record that cannot be
applied ends the process: it is acknowledged to nobody, its entries come back from the journal at
the next start, and what came behind it was not answered either.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from narfi.core.errors import AppError, ErrorKind
from narfi.core.threads import SYSTEM_THREADS, Threads
from storage.journal.base import Journal, JournalError, Record

log = structlog.get_logger(__name__)

Put = Callable[[int], str]
"""Puts a batch into the head at this position; returns the cut id of the part that took it."""

EXIT_STATUS = 70
"""Of a process that ends because a durable record could not be applied (EX_SOFTWARE)."""


class LedgerError(AppError):
    """A durable record could not be applied; nothing is taken any more."""

    kind = ErrorKind.UNAVAILABLE


def end_process(message: str) -> None:
    """Tell why and end at once: what is durable comes back at the next start."""
    log.critical("the server ends", reason=message)
    os._exit(EXIT_STATUS)


class Ledger:
    """The states of the records of one journal; thread-safe."""

    def __init__(
        self, end: Callable[[str], None] = end_process, threads: Threads = SYSTEM_THREADS
    ) -> None:
        self._end = end
        self._changed = threads.condition()
        self._durable: deque[int] = deque()  # positions, ascending: durable, not applied
        self._parts: dict[str, int] = {}  # cut id of a part with unflushed records: its oldest one
        self._newest = 0  # the newest position that was durable or was replayed
        self._replaying = True
        self._broken: str | None = None

    def durable(self, positions: Sequence[int]) -> None:
        """A commit of the journal holds these, ascending, behind all earlier ones."""
        with self._changed:
            self._check()
            assert positions[0] > self._newest, "positions ascend over all commits"
            try:
                self._durable.extend(positions)
                self._newest = positions[-1]
            except BaseException as error:
                self._break(f"record {positions[0]} is durable and cannot be noted: {error!r}")
                raise

    def apply(self, position: int, put: Put) -> None:
        """Put the batch of a durable record into the head, after those of all earlier records."""
        with self._changed:
            while self._broken is None and self._durable[0] != position:
                self._changed.wait()
            self._check()
            try:
                part = put(position)
            except BaseException as error:
                self._break(f"record {position} is durable and cannot be applied: {error!r}")
                raise
            self._durable.popleft()
            self._parts.setdefault(part, position)
            self._changed.notify_all()

    def replayed(self, position: int, put: Put | None) -> None:
        """A record that recovery found; `put` is None when a visible block holds it already."""
        with self._changed:
            assert self._replaying, "records are replayed before the first push"
            self._newest = position
            if put is not None:
                self._parts.setdefault(put(position), position)

    def recovered(self) -> None:
        """Every record was replayed: from now on records may be forgotten."""
        with self._changed:
            self._replaying = False

    def flushed(self, cut_id: str) -> None:
        """The watermark of the part's tenant, at or behind its newest record, is committed."""
        with self._changed:
            self._parts.pop(cut_id, None)

    def forgettable(self) -> int:
        """The position up to which no record is needed any more; 0: none."""
        with self._changed:
            if self._replaying:
                return 0
            needed = [*self._parts.values(), *([self._durable[0]] if self._durable else [])]
            return min(needed, default=self._newest + 1) - 1

    def broken(self, message: str) -> None:
        """A durable record will never be applied: end the process, refuse everything until then."""
        with self._changed:
            self._break(message)

    def _break(self, message: str) -> None:
        if self._broken is None:
            self._broken = message
            self._changed.notify_all()
            self._end(message)

    def _check(self) -> None:
        if self._broken is not None:
            raise LedgerError(f"the server ends: {self._broken}")


def commit(
    journal: Journal,
    ledger: Ledger,
    record: Record,
    put: Put,
) -> None:
    """Make a push durable, then visible; returns when both are done.

    Raises `JournalError` when it is not durable. Any other error of the journal leaves that open,
    and records behind one that nobody applies would wait for ever: it ends the process, as whatever
    goes wrong afterwards does.
    """
    try:
        position = journal.append(record)
    except JournalError:
        raise
    except BaseException as error:
        ledger.broken(f"a record may be durable and cannot be applied: {error!r}")
        raise
    try:
        ledger.apply(position, put)
    except BaseException as error:
        ledger.broken(f"record {position} is durable and cannot be applied: {error!r}")
        raise
