"""Which rule groups are there, and how far were their alerts? Rows of the catalog's database.

A group belongs to a tenant and a namespace. Its origin says who may change it: the API, or the file
that the namespace is named after. Bodies are JSON of the ruler's; nothing here reads them.
Invariants: a group is replaced whole, in one transaction, and a namespace has one origin. The state
of a group outlives the group, so that somebody can still say that its alerts are over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from storage.catalog.database import Database
from storage.catalog.rule_claims import check_claim
from storage.catalog.rule_keys import GroupKey, key_values, of_key
from storage.catalog.tables import RULE_GROUPS, RULE_STATES

API, FILE = "api", "file"
CHANGING = 0x6E72756C
"""PostgreSQL's advisory lock, with the tenant: one change of its groups at a time."""
MAX_NAME = 512
"""Characters of a namespace or of a group's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One stored group."""

    key: GroupKey
    body: str
    origin: str = API
    changed_ns: int


@dataclass(frozen=True, slots=True)
class StateRow:
    """What is remembered of a group's alerts."""

    key: GroupKey
    body: str
    slot_ns: int  # the last evaluation that it tells of


class OriginError(AppError):
    """The namespace belongs to somebody else."""

    kind = ErrorKind.INVALID


class TooManyGroupsError(AppError):
    """The tenant may not have so many groups."""

    kind = ErrorKind.INVALID

    def __init__(self, most: int, actual: int) -> None:
        super().__init__(f"per-user rule groups limit (limit: {most} actual: {actual}) exceeded")


class RuleStore:
    """Groups and states of all tenants; thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, row: GroupRow, most_groups: int = 0) -> None:
        """Make or replace a group; raises `OriginError`, `TooManyGroupsError`."""

        def put(connection: sa.Connection) -> None:
            _one_at_a_time(connection, row.key.tenant)
            _check_origin(connection, row.key, row.origin)
            replaced = connection.execute(
                sa.delete(RULE_GROUPS).where(of_key(RULE_GROUPS, row.key))
            ).rowcount
            if most_groups and not replaced:
                mine = RULE_GROUPS.c.tenant == row.key.tenant
                count = sa.select(sa.func.count()).select_from(RULE_GROUPS).where(mine)
                actual = connection.execute(count).scalar_one() + 1
                if actual > most_groups:
                    raise TooManyGroupsError(most_groups, actual)
            connection.execute(sa.insert(RULE_GROUPS).values(_values(row)))

        self._database.write(put)

    def replace_file(self, tenant: TenantId, namespace: str, rows: Sequence[GroupRow]) -> bool:
        """Make a namespace hold these groups of its file and no others; whether that changed it.

        Raises `OriginError` when groups of the API are there.
        """
        wanted = {row.key.name: row for row in rows}

        def replace(connection: sa.Connection) -> bool:
            _one_at_a_time(connection, tenant)
            _check_origin(connection, GroupKey(tenant, namespace, ""), FILE)
            here = (RULE_GROUPS.c.tenant == tenant) & (RULE_GROUPS.c.namespace == namespace)
            found = connection.execute(sa.select(RULE_GROUPS).where(here))
            there = {row.name: row.body for row in found}
            if there == {name: row.body for name, row in wanted.items()}:
                return False
            connection.execute(sa.delete(RULE_GROUPS).where(here))
            if wanted:
                values = [_values(row) for row in wanted.values()]
                connection.execute(sa.insert(RULE_GROUPS), values)
            return True

        return self._database.write(replace)

    def remove(self, key: GroupKey) -> bool:
        """Remove a group of the API; whether it was there. Raises `OriginError`."""

        def remove(connection: sa.Connection) -> bool:
            _one_at_a_time(connection, key.tenant)
            _check_origin(connection, key, API)
            return bool(
                connection.execute(sa.delete(RULE_GROUPS).where(of_key(RULE_GROUPS, key))).rowcount
            )

        return self._database.write(remove)

    def remove_namespace(self, tenant: TenantId, namespace: str) -> int:
        """Remove all groups of a namespace of the API; how many. Raises `OriginError`."""
        here = (RULE_GROUPS.c.tenant == tenant) & (RULE_GROUPS.c.namespace == namespace)

        def remove(connection: sa.Connection) -> int:
            _one_at_a_time(connection, tenant)
            _check_origin(connection, GroupKey(tenant, namespace, ""), API)
            return connection.execute(sa.delete(RULE_GROUPS).where(here)).rowcount

        return self._database.write(remove)

    def group(self, key: GroupKey) -> GroupRow | None:
        """One group."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(RULE_GROUPS).where(of_key(RULE_GROUPS, key))).first()
        return None if row is None else _group(row)

    def groups(
        self, tenant: TenantId | None = None, namespace: str | None = None
    ) -> Sequence[GroupRow]:
        """Groups of all tenants, of one, or of one namespace, in order of their keys."""
        columns = RULE_GROUPS.c
        query = sa.select(RULE_GROUPS)
        if tenant is not None:
            query = query.where(columns.tenant == tenant)
        if namespace is not None:
            query = query.where(columns.namespace == namespace)
        with self._database.reading() as connection:
            found = [_group(row) for row in connection.execute(query)]
        return sorted(found, key=lambda row: (row.key.tenant, row.key.namespace, row.key.name))

    def save_state(self, row: StateRow, holder: str = "") -> None:
        """Remember the state of a group in place of what was remembered before.

        With a holder, only while that one has claimed the group: else `ClaimLostError`.
        """
        values = key_values(row.key) | {"body": row.body, "slot_ns": row.slot_ns}

        def save(connection: sa.Connection) -> None:
            if holder:
                check_claim(connection, holder, row.key)
            connection.execute(sa.delete(RULE_STATES).where(of_key(RULE_STATES, row.key)))
            connection.execute(sa.insert(RULE_STATES).values(values))

        self._database.write(save)

    def forget_state(self, key: GroupKey, holder: str = "") -> None:
        """Nothing is to be remembered of the group; as `save_state` with a holder."""

        def forget(connection: sa.Connection) -> None:
            if holder:
                check_claim(connection, holder, key)
            connection.execute(sa.delete(RULE_STATES).where(of_key(RULE_STATES, key)))

        self._database.write(forget)

    def states(self) -> Sequence[StateRow]:
        """All that is remembered."""
        with self._database.reading() as connection:
            return [
                StateRow(GroupKey(TenantId(r.tenant), r.namespace, r.name), r.body, r.slot_ns)
                for r in connection.execute(sa.select(RULE_STATES))
            ]


def _one_at_a_time(connection: sa.Connection, tenant: TenantId) -> None:
    """So that origin and number of groups still are what was seen; SQLite has one writer anyway."""
    if connection.dialect.name != "sqlite":
        lock = sa.func.pg_advisory_xact_lock(CHANGING, sa.func.hashtext(tenant))
        connection.execute(sa.select(lock))


def _check_origin(connection: sa.Connection, key: GroupKey, origin: str) -> None:
    columns = RULE_GROUPS.c
    here = (columns.tenant == key.tenant) & (columns.namespace == key.namespace)
    other = sa.select(columns.origin).where(here).where(columns.origin != origin).limit(1)
    found = connection.execute(other).scalar()
    if found == FILE:
        raise OriginError(f"namespace {key.namespace!r} is a rule file of the server")
    if found is not None:
        raise OriginError(f"namespace {key.namespace!r} has groups that were made by the API")


def _values(row: GroupRow) -> dict[str, Any]:
    return key_values(row.key) | {
        "origin": row.origin,
        "body": row.body,
        "changed_ns": row.changed_ns,
    }


def _group(row: Any) -> GroupRow:
    key = GroupKey(TenantId(row.tenant), row.namespace, row.name)
    return GroupRow(key=key, body=row.body, origin=row.origin, changed_ns=row.changed_ns)
