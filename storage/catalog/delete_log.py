"""Which deletions were asked for, and how far are they? Rows of the catalog's database.

Invariant: a request's status and its receipt (rows and bytes removed) are written after the blocks
that they tell of were swapped, so they never promise more than was done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import DELETE_REQUESTS

RECEIVED, PROCESSED = "received", "processed"


@dataclass(frozen=True, slots=True)
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
    """The requests of all tenants; thread-safe."""

    def __init__(self, catalog: SqlCatalog) -> None:
        self._database = catalog.database

    def add(self, request: DeleteRequest) -> None:
        """Remember a request."""
        self._write(sa.insert(DELETE_REQUESTS).values(_values(request)))

    def update(self, request: DeleteRequest) -> None:
        """Replace status and receipt."""
        change = {k: v for k, v in _values(request).items() if k not in ("tenant", "request_id")}
        self._write(sa.update(DELETE_REQUESTS).where(_is(request)).values(change))

    def remove(self, request: DeleteRequest) -> None:
        """Forget a request."""
        self._write(sa.delete(DELETE_REQUESTS).where(_is(request)))

    def requests(self, tenant: TenantId | None = None) -> Sequence[DeleteRequest]:
        """Requests of one tenant or all, oldest first."""
        query = sa.select(DELETE_REQUESTS).order_by(DELETE_REQUESTS.c.created_ns)
        if tenant is not None:
            query = query.where(DELETE_REQUESTS.c.tenant == tenant)
        with self._database.reading() as connection:
            return [_request(row) for row in connection.execute(query)]

    def _write(self, statement: sa.Executable) -> None:
        self._database.write(lambda connection: connection.execute(statement))


def _is(request: DeleteRequest) -> sa.ColumnElement[bool]:
    same_tenant = DELETE_REQUESTS.c.tenant == request.tenant
    return same_tenant & (DELETE_REQUESTS.c.request_id == request.request_id)


def _values(request: DeleteRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in DeleteRequest.__slots__}


def _request(row: Any) -> DeleteRequest:
    values = {name: getattr(row, name) for name in DeleteRequest.__slots__}
    return DeleteRequest(**{**values, "tenant": TenantId(row.tenant)})
