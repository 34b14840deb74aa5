"""Which rule group is meant? Tenant, namespace and name, and the rows of tables that tell of it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.tenant import TenantId


@dataclass(frozen=True, slots=True)
class GroupKey:
    """Which group it is."""

    tenant: TenantId
    namespace: str
    name: str


def key_values(key: GroupKey) -> dict[str, Any]:
    """The columns of a key."""
    return {"tenant": key.tenant, "namespace": key.namespace, "name": key.name}


def of_key(table: sa.Table, key: GroupKey) -> sa.ColumnElement[bool]:
    """The table's row of a group."""
    here = (table.c.tenant == key.tenant) & (table.c.namespace == key.namespace)
    return here & (table.c.name == key.name)
