"""Which deletions were asked for, and how far are they? Rows of the catalog's database.

Invariants: a request's status and its receipt (rows and bytes removed) are written after the blocks
that they tell of were swapped, so they never promise more than was done. A request that is
cancelled is not begun, and one that is begun not cancelled, however both race: each is one
conditional change. Every change has a version, and the log names the tenants whose requests changed
behind one: a reader asks for what changed, however many requests there are.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.changes import DELETES, next_version
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import DELETE_CHANGES, DELETE_REQUESTS

RECEIVED, PROCESSED = "received", "processed"
MAX_FINISHED = 1000
"""Requests of a tenant that are done and listed: the newest."""
NOTHING_SEEN = 0
"""The version behind which everything is."""
_CHANGED_SINCE = sa.select(DELETE_CHANGES.c.tenant, DELETE_CHANGES.c.version).where(
    DELETE_CHANGES.c.version > sa.bindparam("version")
)
"""Made once: queries ask it again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """Entries of a query with `start_ns <= ts <= end_ns` are to be removed."""

    tenant: TenantId
    request_id: str
    query: str
    start_ns: int
    end_ns: int
    created_ns: int
    status: str = RECEIVED
    deleted_rows: int = 0
    deleted_bytes: int = 0
    finished_ns: int | None = None  # when it was processed
    requested_by: str = ""  # name of a token; empty: nobody signs in, or it was not noted


class DeleteLog:
    """The requests of all tenants; thread-safe.

    `changes` is another number after each change that was made, or may have been, through this
    object: what was read under the same number is what this process knows.
    """

    def __init__(self, catalog: SqlCatalog) -> None:
        self._database = catalog.database
        self._numbers = itertools.count(1)
        self.changes = 0

    def add(self, request: DeleteRequest, at_most: int = 0) -> bool:
        """Remember a request, unless that many of the tenant are pending (0: any number)."""
        insert = sa.insert(DELETE_REQUESTS).values(_values(request))
        there = sa.select(DELETE_REQUESTS.c.request_id).where(_is(request))
        pending = sa.select(sa.func.count()).select_from(DELETE_REQUESTS).where(_pending())
        pending = pending.where(DELETE_REQUESTS.c.tenant == request.tenant)

        def add(connection: sa.Connection) -> bool:
            _changed(connection, request.tenant)  # first: others of the log wait here
            if connection.execute(there).first() is not None:
                return True
            if at_most and connection.execute(pending).scalar_one() >= at_most:
                return False
            return bool(connection.execute(insert).rowcount)

        with self._database.reading() as connection:  # what is refused writes nothing
            if at_most and connection.execute(pending).scalar_one() >= at_most:
                return False
        return self._write(add)

    def _write(self, do: Callable[[sa.Connection], bool]) -> bool:
        try:
            return self._database.write(do)
        finally:  # also when nobody knows whether it was committed
            self.changes = next(self._numbers)

    def change(self, old: DeleteRequest, new: DeleteRequest) -> bool:
        """Replace status and receipt; false when the request is not as `old` says any more.

        It was cancelled then, or another worker goes on with it. May be done again.
        """
        values = {k: v for k, v in _values(new).items() if k not in ("tenant", "request_id")}
        statement = sa.update(DELETE_REQUESTS).where(_is(old), _is_at(old)).values(values)
        already = sa.select(DELETE_REQUESTS.c.request_id).where(_is(new), _is_at(new))

        def change(connection: sa.Connection) -> bool:
            if new.finished_ns is not None:  # else it means what it meant
                _changed(connection, new.tenant)
            changed = connection.execute(statement).rowcount
            return bool(changed) or connection.execute(already).first() is not None

        return self._write(change)

    def remove(self, request: DeleteRequest, *, begun: bool) -> bool:
        """Forget a request that was not begun, or was not done with `begun`; whether it was so."""
        status = DELETE_REQUESTS.c.status
        right = status != PROCESSED if begun else status == RECEIVED
        statement = sa.delete(DELETE_REQUESTS).where(_is(request), right)

        def remove(connection: sa.Connection) -> bool:
            _changed(connection, request.tenant)
            return connection.execute(statement).rowcount > 0

        return self._write(remove)

    def forget(self, before_ns: int) -> int:
        """Forget requests that were done before a time; how many."""
        finished = DELETE_REQUESTS.c.finished_ns < before_ns
        found = sa.select(DELETE_REQUESTS.c.request_id).where(finished).limit(1)
        with self._database.reading() as connection:
            if connection.execute(found).first() is None:
                return 0
        statement = sa.delete(DELETE_REQUESTS).where(finished)
        return self._database.write(lambda c: int(c.execute(statement).rowcount))

    def requests(self, tenant: TenantId | None = None) -> Sequence[DeleteRequest]:
        """Requests of one tenant or all, oldest first; of the done ones the newest `MAX_FINISHED`.

        One that is done meanwhile is there once.
        """
        finished = DELETE_REQUESTS.c.finished_ns
        done = sa.select(DELETE_REQUESTS).where(finished.is_not(None))
        if tenant is not None:
            done = done.where(DELETE_REQUESTS.c.tenant == tenant)
        done = done.order_by(finished.desc()).limit(MAX_FINISHED)
        with self._database.reading() as connection:
            pending = read_requests(connection, pending_requests(tenant))
            found = {(r.tenant, r.request_id): r for r in pending}
            found |= {(r.tenant, r.request_id): r for r in read_requests(connection, done)}
        return sorted(found.values(), key=lambda one: one.created_ns)

    def request(self, tenant: TenantId, request_id: str) -> DeleteRequest | None:
        """One request, if it is there."""
        columns = DELETE_REQUESTS.c
        query = sa.select(DELETE_REQUESTS).where(columns.tenant == tenant)
        with self._database.reading() as connection:
            found = read_requests(connection, query.where(columns.request_id == request_id))
        return found[0] if found else None

    def pending(self, tenant: TenantId) -> Sequence[DeleteRequest]:
        """A tenant's requests that are not done, oldest first."""
        with self._database.reading() as connection:
            return read_requests(connection, pending_requests(tenant))

    def made_before(self, time_ns: int) -> Sequence[DeleteRequest]:
        """Requests of all tenants that are not done and not younger, oldest first."""
        created = DELETE_REQUESTS.c.created_ns
        query = sa.select(DELETE_REQUESTS).where(_pending(), created <= time_ns).order_by(created)
        with self._database.reading() as connection:
            return read_requests(connection, query)

    def changed_since(self, version: int) -> dict[TenantId, int]:
        """Tenants whose requests changed behind a version, with the version of the last change."""
        with self._database.reading() as connection:
            found = connection.execute(_CHANGED_SINCE, {"version": version})
            return {TenantId(row.tenant): row.version for row in found}


def pending_requests(tenant: TenantId | None) -> sa.Select[tuple[Any, ...]]:
    """Requests of one tenant or all that are not done, oldest first."""
    query = sa.select(DELETE_REQUESTS).where(_pending())
    if tenant is not None:
        query = query.where(DELETE_REQUESTS.c.tenant == tenant)
    return query.order_by(DELETE_REQUESTS.c.created_ns)


def read_requests(
    connection: sa.Connection, query: sa.Select[tuple[Any, ...]]
) -> list[DeleteRequest]:
    """What a query of the table gives."""
    return [_request(row) for row in connection.execute(query)]


def _pending() -> sa.ColumnElement[bool]:
    return DELETE_REQUESTS.c.finished_ns.is_(None)


def _changed(connection: sa.Connection, tenant: TenantId) -> None:
    """Give this change of a tenant's requests the next version."""
    version = next_version(connection, DELETES)
    known = sa.update(DELETE_CHANGES).where(DELETE_CHANGES.c.tenant == tenant)
    if not connection.execute(known.values(version=version)).rowcount:
        connection.execute(sa.insert(DELETE_CHANGES).values(tenant=tenant, version=version))


def _is(request: DeleteRequest) -> sa.ColumnElement[bool]:
    same_tenant = DELETE_REQUESTS.c.tenant == request.tenant
    return same_tenant & (DELETE_REQUESTS.c.request_id == request.request_id)


def _is_at(request: DeleteRequest) -> sa.ColumnElement[bool]:
    columns = DELETE_REQUESTS.c
    return (columns.status == request.status) & (columns.deleted_rows == request.deleted_rows)


def _values(request: DeleteRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in DeleteRequest.__slots__}


def _request(row: Any) -> DeleteRequest:
    values = {name: getattr(row, name) for name in DeleteRequest.__slots__}
    return DeleteRequest(**{**values, "tenant": TenantId(row.tenant)})
