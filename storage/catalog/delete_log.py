"""Which deletions were asked for, and how far are they? Rows of the catalog's database.

Invariants: a request's status and its receipt (rows and bytes removed) are written after the blocks
that they tell of were swapped, so they never promise more than was done. A request that is
cancelled is not begun, and one that is begun not cancelled, however both race: each is one
conditional change.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import DELETE_REQUESTS

RECEIVED, PROCESSED = "received", "processed"


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


class DeleteLog:
    """The requests of all tenants; thread-safe.

    `changes` is another number after each change that was made, or may have been, through this
    object: what was read under the same number is what this process knows.
    """

    def __init__(self, catalog: SqlCatalog) -> None:
        self._database = catalog.database
        self._numbers = itertools.count(1)
        self.changes = 0

    def add(self, request: DeleteRequest) -> None:
        """Remember a request."""
        statement = sa.insert(DELETE_REQUESTS).values(_values(request))
        self._write(lambda connection: bool(connection.execute(statement).rowcount))

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
            changed = connection.execute(statement).rowcount
            return bool(changed) or connection.execute(already).first() is not None

        return self._write(change)

    def remove(self, request: DeleteRequest, *, begun: bool) -> bool:
        """Forget a request that was not begun, or was not done with `begun`; whether it was so."""
        status = DELETE_REQUESTS.c.status
        right = status != PROCESSED if begun else status == RECEIVED
        statement = sa.delete(DELETE_REQUESTS).where(_is(request), right)
        return self._write(lambda c: c.execute(statement).rowcount > 0)

    def requests(self, tenant: TenantId | None = None) -> Sequence[DeleteRequest]:
        """Requests of one tenant or all, oldest first."""
        query = sa.select(DELETE_REQUESTS).order_by(DELETE_REQUESTS.c.created_ns)
        if tenant is not None:
            query = query.where(DELETE_REQUESTS.c.tenant == tenant)
        with self._database.reading() as connection:
            return read_requests(connection, query)

    def pending(self) -> Sequence[DeleteRequest]:
        """Requests of all tenants that are not done, oldest first."""
        with self._database.reading() as connection:
            return read_requests(connection, pending_requests())


def pending_requests(tenant: TenantId | None = None) -> sa.Select[tuple[Any, ...]]:
    """Requests of one tenant or all that are not done, oldest first."""
    query = sa.select(DELETE_REQUESTS).where(DELETE_REQUESTS.c.status != PROCESSED)
    if tenant is not None:
        query = query.where(DELETE_REQUESTS.c.tenant == tenant)
    return query.order_by(DELETE_REQUESTS.c.created_ns)


def read_requests(
    connection: sa.Connection, query: sa.Select[tuple[Any, ...]]
) -> list[DeleteRequest]:
    """What a query of the table gives."""
    return [_request(row) for row in connection.execute(query)]


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
