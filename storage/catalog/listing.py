"""Which blocks does a query read? The visible blocks of a tenant, held in memory.

Asking costs one statement, the newest version; where it moved, what changed since is read, never a
whole catalog. Tenants that were asked for longest ago are forgotten beyond `MAX_ROWS` rows, and a
tenant that alone has more is asked for in the catalog itself.
Invariant: an answer holds what was visible when it was asked for, or later.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog

MAX_ROWS = 200_000
"""Rows held, of all tenants: about 450 bytes each."""

ALWAYS = (-(2**63), 2**63 - 1)
"""All times, ns."""

Rows = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class _Held:
    """The blocks of a tenant in order of creation."""

    ids: frozenset[str]
    rows: Rows
    min_ts: I64
    max_ts: I64

    @staticmethod
    def of(rows: Sequence[BlockRow]) -> "_Held":
        """Of rows in order of creation."""
        held = np.empty(len(rows), object)
        held[:] = rows
        return _Held(
            frozenset(row.block_id for row in rows),
            held,
            np.array([row.min_ts for row in rows], np.int64),
            np.array([row.max_ts for row in rows], np.int64),
        )

    def within(self, start_ns: int, end_ns: int) -> list[BlockRow]:
        """Those with an entry possible in `[start, end)`."""
        found: list[BlockRow] = self.rows[
            (self.max_ts >= start_ns) & (self.min_ts < end_ns)
        ].tolist()
        return found

    def changed(self, visible: Sequence[BlockRow], gone: frozenset[str]) -> "_Held":
        """With what became visible and without what is gone; either may be known already."""
        if not visible and self.ids.isdisjoint(gone):
            return self
        fresh = {row.block_id: row for row in visible if row.block_id not in gone}
        out = gone | fresh.keys()
        rows = [row for row in self.rows.tolist() if row.block_id not in out]
        rows += fresh.values()
        return _Held.of(sorted(rows, key=lambda row: (row.created_ns, row.block_id)))


class Listing:
    """The visible blocks by tenant, up to date at each question; thread-safe."""

    def __init__(self, catalog: Catalog, max_rows: int = MAX_ROWS) -> None:
        self._catalog, self._max_rows = catalog, max_rows
        self._lock = threading.Lock()
        self._version = -1  # of all that is held
        self._held: OrderedDict[TenantId, _Held] = OrderedDict()
        self._large: set[TenantId] = set()  # tenants with more than `max_rows` blocks

    def blocks(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """As `Catalog.blocks`."""
        newest = self._catalog.version()
        with self._lock:
            if newest > self._version:
                self._follow(newest)
            if tenant in self._held:
                self._held.move_to_end(tenant)
            elif tenant not in self._large:
                self._load(tenant)
            held = self._held.get(tenant)
        if held is None:
            return self._catalog.blocks(tenant, start_ns, end_ns)
        return held.within(start_ns, end_ns)

    def _follow(self, newest: int) -> None:
        """Take over what changed; everything is forgotten where that is not known any more."""
        if not self._held:
            self._version = newest
            return
        changes = self._catalog.changes(self._version)
        if not changes.complete:
            self._held.clear()
            self._large.clear()
        touched: dict[TenantId, list[BlockRow]] = {}
        for row in changes.visible:
            touched.setdefault(row.tenant, []).append(row)
        for tenant, held in list(self._held.items()):
            self._held[tenant] = held.changed(touched.get(tenant, ()), changes.gone)
        self._version = changes.version
        self._bound()

    def _load(self, tenant: TenantId) -> None:
        """Read and hold a tenant, in one statement: what is visible at one moment."""
        self._held[tenant] = _Held.of(self._catalog.blocks(tenant, *ALWAYS))
        self._bound()

    def _bound(self) -> None:
        """Forget tenants until the rest is small enough, and remember which are too large."""
        for tenant, held in list(self._held.items()):
            if len(held.rows) > self._max_rows:
                self._large.add(tenant)
                del self._held[tenant]
        while sum(len(held.rows) for held in self._held.values()) > self._max_rows:
            self._held.popitem(last=False)
