"""Which blocks are too old? Those whose newest entry is older than the tenant's period.

The catalog rows go first, in one transaction; the objects become orphans, which are removed later,
so that a query that began before can still read them.
"""

from collections.abc import Callable

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog

EARLIEST = -(2**63)


def expire(catalog: Catalog, clock: Clock, period_ns: Callable[[TenantId], int]) -> list[BlockRow]:
    """Hide the expired blocks of every tenant; a period of 0 keeps everything."""
    expired: list[BlockRow] = []
    for tenant in catalog.tenants():
        period = period_ns(tenant)
        if period <= 0:
            continue
        edge = clock.now_ns() - period
        old = [row for row in catalog.blocks(tenant, EARLIEST, edge) if row.max_ts < edge]
        if old:
            catalog.replace([row.block_id for row in old], [])
            expired += old
    return expired
