"""When is a push on disk? The journal's contract.

Invariant: `append` returns only when the record is durable; records are replayed in the order of
their positions, each whole or not at all (a torn tail is dropped, a flipped byte is reported).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId


class JournalError(AppError):
    """The record could not be made durable; nothing was acknowledged."""

    kind = ErrorKind.INTERNAL


class JournalAwayError(JournalError):
    """The place of the journal does not answer in time, or may not be used now: try again."""

    kind = ErrorKind.UNAVAILABLE


FENCED = (
    "the journal of this ingester was taken over by another one, which took it for dead: it "
    "acknowledges nothing more until it is started again"
)


class FencedError(JournalError):
    """Somebody else has taken the journal over: nothing is acknowledged any more."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One push on its way into the journal, before it has a position."""

    tenant: TenantId
    received_ns: int
    codec: int  # how to decode the body, see ingester/records.py
    decided: bytes  # what settings said when it was accepted, see ingester/decided.py
    body: bytes  # as received, or its accepted rest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord(Record):
    """A record in the journal."""

    position: int  # log sequence number, strictly increasing over the journal's whole life
    commit: int  # position of the first record that was made durable together with this one


def stored_together(records: Sequence[Record], first: int) -> Iterator[StoredRecord]:
    """The records of one commit, at positions from the first on."""
    for position, record in enumerate(records, first):
        yield StoredRecord(
            position=position,
            commit=first,
            tenant=record.tenant,
            received_ns=record.received_ns,
            codec=record.codec,
            decided=record.decided,
            body=record.body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Acknowledged records that a journal does not hold any more."""

    first: int  # positions, inclusive
    last: int
    after_ns: int | None  # when the record before them was received; None: unknown
    before_ns: int | None  # when the record behind them was received; None: until the last stop
    reason: str


@dataclass(slots=True, kw_only=True)
class JournalCounters:
    """What the journal did; read by metrics."""

    commits: int = 0
    records: int = 0
    bytes: int = 0
    failures: int = 0
    trouble: str = ""  # why the newest commit failed; empty when it did not
    trouble_ns: int = 0  # when that was
    damaged: int = 0  # places where acknowledged records are missing, as replay found them
    lost: int = 0  # positions missing there

    def went_wrong(self, why: str) -> None:
        """A commit failed."""
        self.failures += 1
        self.trouble, self.trouble_ns = why, time.time_ns()


class Journal(Protocol):
    """An append-only, durable sequence of records."""

    @property
    def journal_id(self) -> str:
        """Names the journal in watermarks; never changes."""
        ...

    @property
    def counters(self) -> JournalCounters:
        """What it did."""
        ...

    def append(self, record: Record) -> int:
        """Make the record durable (group commit) and return its position; blocks the caller.

        Raises `JournalError`, whatever went wrong: nothing was acknowledged. The record is then not
        replayed, unless only `when_durable`'s callback failed.
        """
        ...

    def when_durable(self, on_durable: Callable[[Sequence[int]], None]) -> None:
        """Call it with the positions of each commit once they are durable, before any `append` of
        them returns: commits one after another, positions ascending."""
        ...

    def replay(self, damaged: Callable[[Damage], None]) -> Iterator[StoredRecord]:
        """All records, ascending; called before the first append.

        `damaged` is told of acknowledged records that are missing, where they were.
        """
        ...

    def stored_bytes(self) -> int:
        """Bytes that lie in it, about; 0 where only a listing of a far store would tell."""
        ...

    def last_position(self) -> int:
        """The newest position that was given or skipped (0 when empty)."""
        ...

    def skip_to(self, position: int) -> None:
        """Give only positions above this one from now on."""
        ...

    def truncate(self, up_to: int) -> None:
        """Records with position <= `up_to` are no longer needed; space may be freed."""
        ...

    def close(self) -> None:
        """Finish pending appends and close files."""
        ...
