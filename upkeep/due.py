"""Which blocks does retention look at in this round? Those that are new to it, and those due now.

Read are what changed in the catalog since the last round, blocks that became old enough since, and
those whose time has come: all old blocks of a tenant only once in a process, and again when its
policy changed. What is remembered of a block is its id and when to look at it next.
Invariant: a visible block that begins before a tenant's edge is remembered from the next round on,
however a round ends; until it is told that it may wait, it comes in each round.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from narfi.core.retention import RetentionPolicy
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog
from upkeep.retention_policy import first_edge

EARLIEST = -(2**63)
PAGE = 5000
"""Rows that are in memory at once."""


@dataclass(slots=True)
class _Old:
    """The blocks of a tenant that are old enough to hold expired entries, sooner or later."""

    policy: RetentionPolicy
    edge: int  # ns; every block that begins before is in `times`
    times: dict[str, int]  # by block id, ns: when to look at it next


class DueBlocks:
    """What is remembered of the blocks of all tenants; used by one thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._version = 0  # of the catalog, up to which `_old` is right
        self._old: dict[TenantId, _Old] = {}

    def follow(self, tenants: Collection[TenantId]) -> None:
        """Take over what changed since the last round; others than these tenants are forgotten."""
        self._old = {tenant: old for tenant, old in self._old.items() if tenant in tenants}
        if not self._old:
            self._version = self._catalog.version()
            return
        changes = self._catalog.changes(self._version)
        if not changes.complete:
            self._old.clear()
        for row in changes.visible:
            old = self._old.get(row.tenant)
            if old is not None and row.min_ts < old.edge:
                old.times[row.block_id] = EARLIEST
        for old in self._old.values():
            for block_id in changes.gone & old.times.keys():
                del old.times[block_id]
        self._version = changes.version

    def pages(
        self, tenant: TenantId, policy: RetentionPolicy, now_ns: int
    ) -> Iterator[Sequence[BlockRow]]:
        """The visible blocks of the tenant to be looked at, in no order; `PAGE` at once, about."""
        edge = first_edge(policy, now_ns)
        if edge is None:
            self._old.pop(tenant, None)
            return
        old = self._old.get(tenant)
        if old is None or old.policy != policy:
            old = self._old[tenant] = _Old(policy, EARLIEST, {})
        due = [block_id for block_id, time_ns in old.times.items() if time_ns <= now_ns]
        for first in range(0, len(due), PAGE):
            ids = due[first : first + PAGE]
            rows = self._catalog.visible(ids)
            for gone in set(ids) - {row.block_id for row in rows}:
                del old.times[gone]
            yield rows
        while old.edge < edge:
            rows, old.edge = self._became_old(tenant, old.edge, edge)
            for row in rows:
                old.times.setdefault(row.block_id, EARLIEST)
            yield rows

    def _became_old(
        self, tenant: TenantId, start_ns: int, edge: int
    ) -> tuple[Sequence[BlockRow], int]:
        """All blocks that begin between `start_ns` and the time with them, which is `edge` soon."""
        rows = self._catalog.first_begun(tenant, start_ns, edge, PAGE)
        if len(rows) < PAGE:
            return rows, edge
        end = rows[-1].min_ts  # there may be more that begin with the last
        if end == start_ns:
            return self._catalog.begun_within(tenant, start_ns, start_ns + 1), start_ns + 1
        return [row for row in rows if row.min_ts < end], end

    def later(self, row: BlockRow, time_ns: int) -> None:
        """The block stays as it is; look at it again at that time."""
        self._old[row.tenant].times[row.block_id] = time_ns
