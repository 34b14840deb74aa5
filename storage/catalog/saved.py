"""Which searches did people of a tenant save? Rows of the catalog's database, by name.

What a search says is for others; nothing here reads it. Invariant: a tenant never has more than it
may, whoever saves at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog.changes import next_version
from storage.catalog.database import Database
from storage.catalog.tables import SAVED_SEARCHES

CHANGES = "saved"
"""Name of a version that each change raises, so that changes come one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSearch:
    """One search; its time in ns."""

    tenant: TenantId
    name: str
    body: str
    updated_ns: int
    updated_by: str  # name of a token; empty: nobody signs in


class SavedSearches:
    """The searches of all tenants; thread-safe. Everything raises `CatalogError` in an outage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: TenantId) -> Sequence[SavedSearch]:
        """All of a tenant, by name."""
        columns = SAVED_SEARCHES.c
        query = sa.select(SAVED_SEARCHES).where(columns.tenant == tenant)
        with self._database.reading() as connection:
            found = [
                SavedSearch(
                    tenant=TenantId(row.tenant),
                    name=row.name,
                    body=row.body,
                    updated_ns=row.updated_ns,
                    updated_by=row.updated_by,
                )
                for row in connection.execute(query)
            ]
        return sorted(found, key=lambda one: one.name)  # collations differ between databases

    def put(self, search: SavedSearch, most: int) -> bool:
        """Save one in place of that of its name; false where the tenant has `most` others."""
        columns = SAVED_SEARCHES.c
        same = (columns.tenant == search.tenant) & (columns.name == search.name)
        others = sa.select(sa.func.count()).select_from(SAVED_SEARCHES)
        others = others.where(columns.tenant == search.tenant, columns.name != search.name)
        values = {name: getattr(search, name) for name in SavedSearch.__slots__}

        def put(connection: sa.Connection) -> bool:
            next_version(connection, CHANGES)
            if connection.execute(others).scalar_one() >= most:
                return False
            connection.execute(sa.delete(SAVED_SEARCHES).where(same))
            connection.execute(sa.insert(SAVED_SEARCHES).values(values))
            return True

        return self._database.write(put)

    def remove(self, tenant: TenantId, name: str) -> bool:
        """Forget one; whether it was there."""
        columns = SAVED_SEARCHES.c
        same = (columns.tenant == tenant) & (columns.name == name)
        statement = sa.delete(SAVED_SEARCHES).where(same)
        return self._database.write(lambda c: c.execute(statement).rowcount > 0)
