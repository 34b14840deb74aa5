"""Which process evaluates which rule group? Claims that run out, in rows of the catalog.

A ruler tells from time to time that it is there, which makes all its claims longer. A group whose
claim ran out, or was given back, is anybody's: whoever takes it raises the epoch. What a ruler
remembers of a group is written in a transaction that sees its claim, so one that slept through its
own end writes nothing.
Invariant: times are those of the database, so no process's clock matters.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from storage.catalog.database import Database
from storage.catalog.database_time import now_ms
from storage.catalog.life import insert_unless_there
from storage.catalog.rule_keys import GroupKey, key_values, of_key
from storage.catalog.tables import RULE_CLAIMS, RULERS

GONE_MS = 3600 * 1000
"""A ruler that was not heard of for so long is forgotten."""


class ClaimLostError(AppError):
    """Another ruler evaluates the group by now."""

    kind = ErrorKind.UNAVAILABLE


class RuleClaims:
    """Transactions over claims; thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, holder: str, ttl_ms: int) -> Sequence[str]:
        """Say that a ruler is there and keeps what it holds; those who are there, sorted."""

        def beat(connection: sa.Connection) -> Sequence[str]:
            now = now_ms(connection)
            values = {"holder": holder, "expires_ms": now + ttl_ms}
            insert_unless_there(connection, RULERS, values)
            mine = sa.update(RULERS).where(RULERS.c.holder == holder)
            connection.execute(mine.values(expires_ms=now + ttl_ms))
            held = (RULE_CLAIMS.c.holder == holder) & (RULE_CLAIMS.c.expires_ms > now)
            connection.execute(sa.update(RULE_CLAIMS).where(held).values(expires_ms=now + ttl_ms))
            gone = sa.delete(RULERS).where(RULERS.c.expires_ms < now - GONE_MS)
            connection.execute(gone)
            there = sa.select(RULERS.c.holder).where(RULERS.c.expires_ms > now)
            return sorted(connection.execute(there).scalars())

        return self._database.write(beat)

    def held(self, holder: str) -> frozenset[GroupKey]:
        """What a ruler holds now."""
        with self._database.reading() as connection:
            now = now_ms(connection)
            mine = (RULE_CLAIMS.c.holder == holder) & (RULE_CLAIMS.c.expires_ms > now)
            found = connection.execute(sa.select(RULE_CLAIMS).where(mine))
            return frozenset(_key(row) for row in found)

    def take(self, holder: str, keys: Collection[GroupKey], ttl_ms: int) -> frozenset[GroupKey]:
        """Claim those of the groups that nobody else holds; which they were."""

        def take(connection: sa.Connection) -> frozenset[GroupKey]:
            now = now_ms(connection)
            taken = set()
            for key in sorted(keys, key=lambda key: (key.tenant, key.namespace, key.name)):
                new = {"holder": "", "epoch": 0, "expires_ms": 0}
                insert_unless_there(connection, RULE_CLAIMS, key_values(key) | new)
                free = (RULE_CLAIMS.c.expires_ms <= now) | (RULE_CLAIMS.c.holder == holder)
                values = {
                    "holder": holder,
                    "epoch": RULE_CLAIMS.c.epoch + 1,
                    "expires_ms": now + ttl_ms,
                }
                mine = sa.update(RULE_CLAIMS).where(of_key(RULE_CLAIMS, key) & free)
                if connection.execute(mine.values(values)).rowcount:
                    taken.add(key)
            return frozenset(taken)

        return self._database.write(take) if keys else frozenset()

    def give_back(self, holder: str, keys: Collection[GroupKey]) -> None:
        """Let others take these groups at once."""

        def give_back(connection: sa.Connection) -> None:
            for key in sorted(keys, key=lambda key: (key.tenant, key.namespace, key.name)):
                mine = of_key(RULE_CLAIMS, key) & (RULE_CLAIMS.c.holder == holder)
                connection.execute(sa.update(RULE_CLAIMS).where(mine).values(expires_ms=0))

        if keys:
            self._database.write(give_back)

    def leave(self, holder: str) -> None:
        """A ruler stops: all that it holds is anybody's."""

        def leave(connection: sa.Connection) -> None:
            mine = RULE_CLAIMS.c.holder == holder
            connection.execute(sa.update(RULE_CLAIMS).where(mine).values(expires_ms=0))
            connection.execute(sa.delete(RULERS).where(RULERS.c.holder == holder))

        self._database.write(leave)

    def forget(self, holder: str, keys: Collection[GroupKey]) -> None:
        """Groups that are no more, of which nothing is remembered."""

        def forget(connection: sa.Connection) -> None:
            for key in keys:
                mine = of_key(RULE_CLAIMS, key) & (RULE_CLAIMS.c.holder == holder)
                connection.execute(sa.delete(RULE_CLAIMS).where(mine))

        if keys:
            self._database.write(forget)


def check_claim(connection: sa.Connection, holder: str, key: GroupKey) -> None:
    """In a transaction: nobody takes the group until it ends; `ClaimLostError` when one has."""
    held = of_key(RULE_CLAIMS, key) & (RULE_CLAIMS.c.holder == holder)
    query = sa.select(RULE_CLAIMS.c.expires_ms).where(held).with_for_update(read=True)
    expires_ms = connection.execute(query).scalar()
    if expires_ms is None or expires_ms <= now_ms(connection):
        raise ClaimLostError(f"rule group {key.name!r} is evaluated by another ruler")


def _key(row: Any) -> GroupKey:
    return GroupKey(TenantId(row.tenant), row.namespace, row.name)
