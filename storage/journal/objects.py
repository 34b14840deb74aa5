"""How does a journal in an object store make pushes durable? One object per commit.

Each commit creates the next number, which must not be there. A put whose outcome is unknown is done
again with the same key and the same bytes, and no later number is used before it is known: so a
record that was refused can turn out to be there, but never comes back behind later ones. Who finds
other bytes under its number was taken over (a seal lies there) and acknowledges nothing more.

Invariant: `append` returns only when the object is in the store and `may_acknowledge`, asked after
that, did not raise.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from narfi.core.threads import SYSTEM_THREADS, Threads
from storage.journal.base import (
    FENCED,
    Damage,
    FencedError,
    JournalAwayError,
    JournalCounters,
    Record,
    StoredRecord,
)
from storage.journal.group import GroupCommit, Pace
from storage.journal.metrics import COMMIT_FAILURES, committed
from storage.journal.numbered import (
    MOST_RECORDS,
    encode_commit,
    first_position,
    key_of,
    number_of,
)
from storage.journal.numbers import JournalNumbers
from storage.objects.base import ObjectError, ObjectExistsError, SharedObjects

log = structlog.get_logger(__name__)

DEADLINE_S = 5.0
"""For a commit: then its pushes are refused, and the put is tried again by the next commit."""
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 0.8
MOST_BYTES = 8 << 20
"""Of records that are gathered: more end the wait for the next commit."""


@dataclass(frozen=True, slots=True)
class _Put:
    """A commit whose outcome is not known yet."""

    number: int
    data: bytes


class ObjectJournal:
    """A `Journal` of one life of one process: it begins empty, with an id of its own."""

    def __init__(
        self,
        objects: SharedObjects,
        journal_id: str,
        *,
        interval_s: float = 0.0,
        deadline_s: float = DEADLINE_S,
        may_acknowledge: Callable[[], None] = lambda: None,
        forget: Callable[[int], None] = lambda _: None,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        """`may_acknowledge` raises `JournalError` while the lease does not allow it.

        `forget` is told the newest number that is not needed any more. `objects` should answer or
        fail well within the deadline.
        """
        self._objects, self._journal_id = objects, journal_id
        self._deadline_s, self._may_acknowledge = deadline_s, may_acknowledge
        self._forget = forget
        self.counters = JournalCounters()
        pace: Pace[Record] = Pace(interval_s, MOST_BYTES, _size)
        self._group: GroupCommit[Record] = GroupCommit(self._commit, MOST_RECORDS, threads, pace)
        self._on_durable: Callable[[Sequence[int]], None] = lambda _: None
        self._number = 0  # the newest one whose object is known to be there
        self._last = 0
        self._unknown: _Put | None = None
        self._fenced = ""  # why

    @property
    def journal_id(self) -> str:
        """Its name in keys and watermarks."""
        return self._journal_id

    @property
    def is_fenced(self) -> bool:
        """Whether it is not this process's any more."""
        return bool(self._fenced)

    @property
    def fenced_because(self) -> str:
        """Why it is not; empty while it is."""
        return self._fenced

    def fence(self, reason: str = FENCED) -> None:
        """It is not this process's any more: nothing is acknowledged from now on."""
        if not self._fenced:
            log.error("the journal was lost", journal=self._journal_id, reason=reason)
            self._fenced = reason

    def stored_bytes(self) -> int:
        """Not known: what was forgotten goes by itself."""
        return 0

    def last_position(self) -> int:
        """The newest position that was given."""
        return self._last

    def skip_to(self, position: int) -> None:
        """Numbers have no gaps, and a journal begins with an id that no watermark knows."""
        assert position < first_position(self._number + 1), "a new journal has no watermarks"

    def when_durable(self, on_durable: Callable[[Sequence[int]], None]) -> None:
        """See `Journal.when_durable`."""
        self._on_durable = on_durable

    def append(self, record: Record) -> int:
        """Make the record durable and return its position.

        Raises `JournalAwayError` when that is not known within the deadline: the record may turn
        out to be there. `FencedError` when the journal was taken over.
        """
        return self._group.submit(record)

    def _commit(self, batch: list[Record]) -> Sequence[int]:
        began = time.perf_counter()
        try:
            self._check()
            deadline = time.monotonic() + self._deadline_s
            self._settle(deadline)
            number = self._number + 1
            put = self._unknown = _Put(number, encode_commit(self._journal_id, number, batch))
            self._settle(deadline)
            self._check()  # the lease may have ended while the object was put
        except BaseException as error:
            self.counters.went_wrong(str(error))
            COMMIT_FAILURES.inc()
            if not isinstance(error, FencedError):  # that was told
                log.error("journal commit failed", error=str(error), records=len(batch))
            raise
        positions = range(first_position(number), first_position(number) + len(batch))
        committed(len(batch), len(put.data), time.perf_counter() - began)
        self._on_durable(positions)
        self.counters.trouble = ""
        self._last = positions[-1]
        self.counters.commits += 1
        self.counters.records += len(batch)
        self.counters.bytes += len(put.data)
        return positions

    def _check(self) -> None:
        if self._fenced:
            raise FencedError(self._fenced)
        self._may_acknowledge()

    def _settle(self, deadline: float) -> None:
        """Return when the put whose outcome was unknown, if any, is in the store."""
        if self._unknown is None:
            return
        put, pause = self._unknown, FIRST_PAUSE_S
        while True:
            try:
                self._objects.create(key_of(self._journal_id, put.number), put.data)
            except ObjectExistsError:
                self.fence()
                raise FencedError(self._fenced) from None
            except ObjectError as error:
                if time.monotonic() + pause > deadline:
                    message = f"the journal cannot be written within {self._deadline_s:g}s"
                    raise JournalAwayError(f"{message}: {error.message}") from error
                time.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE_S)
            else:
                self._number, self._unknown = put.number, None
                return

    def replay(self, damaged: Callable[[Damage], None]) -> Iterator[StoredRecord]:
        """All records that are there, for tests and tools: a new journal has none.

        What a process before left is adopted under its own id.
        """
        numbers = JournalNumbers(self._objects)
        try:
            for commit in numbers.read(self._journal_id, 1):
                if commit.damage is not None:
                    damaged(damage_of(commit.number, commit.damage, None, None))
                yield from commit.records
        finally:
            numbers.close()

    def truncate(self, up_to: int) -> None:
        """Whole commits at or below `up_to` may be deleted."""
        last = self._last
        self._forget(number_of(last) if up_to >= last else number_of(up_to + 1) - 1)

    def close(self) -> None:
        """Wait for the commits under way."""
        self._group.close()


def damage_of(number: int, reason: str, after_ns: int | None, before_ns: int | None) -> Damage:
    """All that a number may have held is missing."""
    return Damage(
        first=first_position(number),
        last=first_position(number + 1) - 1,
        after_ns=after_ns,
        before_ns=before_ns,
        reason=reason,
    )


def _size(record: Record) -> int:
    return len(record.body)
