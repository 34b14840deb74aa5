"""Who writes which journal of an object store, and who takes over when that one is gone? Leases.

A journal has a row from before its first commit until some time after its end:

    live       a process writes it, and renews its lease
    orphaned   its writer stopped and left something in it
    adopting   another process puts what is in it into blocks
    retired    everything in it is in visible blocks; only its seal is kept for a while

Whoever takes a lease raises the epoch, and `check_fence` in a transaction of somebody with an older
one finds no row: safety is that and the seal, the time only says when to take over.
Invariants: times are those of the database, so no process's clock matters; `forgotten` is committed
before an object at or below that number is deleted, so a missing one above it is the journal's end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from storage.catalog.base import Fence
from storage.catalog.database import Database
from storage.catalog.database_time import now_ms
from storage.catalog.life import insert_unless_there
from storage.catalog.tables import JOURNALS
from storage.journal.base import FencedError

FOUND_EPOCH = 1 << 32
"""Of a journal whose row was lost with its catalog: above any that was counted up to."""


class JournalState(StrEnum):
    """Where a journal is in its life."""

    LIVE = "live"
    ORPHANED = "orphaned"
    ADOPTING = "adopting"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """A journal as the catalog knows it."""

    journal_id: str
    holder: str  # the process that has the lease
    address: str  # of its gRPC listener; empty: it does not listen yet, read the journal
    epoch: int
    state: JournalState
    forgotten: int  # numbers up to here may be deleted
    expired: bool  # when it was read

    @property
    def fence(self) -> Fence:
        """Of this holder."""
        return Fence(self.journal_id, self.epoch)


class Leases:
    """Transactions over the rows of journals; thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, journal_id: str, holder: str, address: str, ttl_ms: int) -> Fence:
        """Commit that a new journal begins; before its first object."""

        def begin(connection: sa.Connection) -> None:
            values = {
                "journal_id": journal_id,
                "holder": holder,
                "address": address,
                "epoch": 1,
                "expires_ms": now_ms(connection) + ttl_ms,
                "state": JournalState.LIVE,
                "forgotten": 0,
            }
            insert_unless_there(connection, JOURNALS, values)

        self._database.write(begin)
        return Fence(journal_id, 1)

    def found(self, forgotten: Mapping[str, int]) -> None:
        """Journals that lie in the store and that the catalog does not know are anybody's to take.

        By id, the newest number that is in no need of being read. Their writers, should one be
        alive, are fenced: no lease that they had has such an epoch.
        """

        def find(connection: sa.Connection) -> None:
            for journal_id, number in forgotten.items():
                values = {
                    "journal_id": journal_id,
                    "holder": "",
                    "address": "",
                    "epoch": FOUND_EPOCH,
                    "expires_ms": 0,
                    "state": JournalState.ORPHANED,
                    "forgotten": number,
                }
                insert_unless_there(connection, JOURNALS, values)

        self._database.write(find)

    def renew(
        self, fence: Fence, ttl_ms: int, forgotten: int, address: str = "", *, known: int = 0
    ) -> bool:
        """Hold the lease for that long from now, and say what may be deleted.

        An address replaces the one of before: where the holder can be asked by now. `known`: what
        was committed before that may be deleted.
        False when somebody else has it, it is retired, or the catalog does not know so much.
        """

        def renew(connection: sa.Connection) -> bool:
            until = now_ms(connection) + ttl_ms
            values: dict[str, Any] = {"expires_ms": until, "forgotten": forgotten}
            if address:
                values["address"] = address
            return _changed(connection, fence, values, JOURNALS.c.forgotten >= known)

        return self._database.write(renew)

    def release(self, fence: Fence) -> bool:
        """The writer stops: anybody may take the journal now."""
        return self._end(fence, JournalState.ORPHANED)

    def retire(self, fence: Fence) -> bool:
        """Everything in it is in visible blocks."""
        return self._end(fence, JournalState.RETIRED)

    def _end(self, fence: Fence, state: JournalState) -> bool:
        def end(connection: sa.Connection) -> bool:
            return _changed(connection, fence, {"state": state, "expires_ms": now_ms(connection)})

        return self._database.write(end)

    def take(self, holder: str, address: str, ttl_ms: int, *, but: str = "") -> JournalRow | None:
        """Take the lease that ran out first, of another journal than `but`; its epoch grows.

        None when there is none.
        """

        def take(connection: sa.Connection) -> JournalRow | None:
            now = now_ms(connection)
            over = (
                sa.select(JOURNALS.c.journal_id)
                .where(JOURNALS.c.state != JournalState.RETIRED)
                .where(JOURNALS.c.expires_ms <= now)
                .where(JOURNALS.c.journal_id != but)
                .order_by(JOURNALS.c.expires_ms, JOURNALS.c.journal_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            journal_id = connection.execute(over).scalar()
            if journal_id is None:
                return None
            values = {
                "holder": holder,
                "address": address,
                "epoch": JOURNALS.c.epoch + 1,
                "expires_ms": now + ttl_ms,
                "state": JournalState.ADOPTING,
            }
            mine = JOURNALS.c.journal_id == journal_id
            connection.execute(sa.update(JOURNALS).where(mine).values(values))
            return _row(connection.execute(sa.select(JOURNALS).where(mine)).one(), now)

        return self._database.write(take)

    def open(self) -> Sequence[JournalRow]:
        """Journals in which something may be that is in no block, by id."""
        return self._select(JOURNALS.c.state != JournalState.RETIRED)

    def get(self, journal_id: str) -> JournalRow | None:
        """One journal; None when it was forgotten."""
        found = self._select(JOURNALS.c.journal_id == journal_id)
        return found[0] if found else None

    def retired(self, for_ms: int) -> Sequence[JournalRow]:
        """Journals that are retired so long."""
        with self._database.reading() as connection:
            edge = now_ms(connection) - for_ms
        over = JOURNALS.c.expires_ms <= edge
        return self._select((JOURNALS.c.state == JournalState.RETIRED) & over)

    def drop(self, journal_id: str) -> None:
        """Forget a retired journal."""
        which = (JOURNALS.c.journal_id == journal_id) & (JOURNALS.c.state == JournalState.RETIRED)
        self._database.write(
            lambda connection: connection.execute(sa.delete(JOURNALS).where(which))
        )

    def _select(self, which: sa.ColumnElement[bool]) -> Sequence[JournalRow]:
        query = sa.select(JOURNALS).where(which).order_by(JOURNALS.c.journal_id)
        with self._database.reading() as connection:
            now = now_ms(connection)
            return [_row(found, now) for found in connection.execute(query)]


def check_fence(connection: sa.Connection, fence: Fence) -> None:
    """In a transaction: nobody can take the lease until it ends; `FencedError` when one has."""
    held = sa.select(JOURNALS.c.epoch).where(_mine(fence)).with_for_update(read=True)
    if connection.execute(held).first() is None:
        raise FencedError(f"journal {fence.journal_id} was taken over by another ingester")


def _changed(
    connection: sa.Connection, fence: Fence, values: dict[str, Any], *more: sa.ColumnElement[bool]
) -> bool:
    held = JOURNALS.c.state != JournalState.RETIRED
    statement = sa.update(JOURNALS).where(_mine(fence) & held, *more).values(values)
    return connection.execute(statement).rowcount > 0


def _mine(fence: Fence) -> sa.ColumnElement[bool]:
    return (JOURNALS.c.journal_id == fence.journal_id) & (JOURNALS.c.epoch == fence.epoch)


def _row(found: Any, at_ms: int) -> JournalRow:
    return JournalRow(
        journal_id=found.journal_id,
        holder=found.holder,
        address=found.address,
        epoch=found.epoch,
        state=JournalState(found.state),
        forgotten=found.forgotten,
        expired=found.expires_ms <= at_ms,
    )
