"""Which blocks does a query read? The visible blocks of a tenant, those of late held in memory.

Of a tenant that is asked for, what may hold entries from the asked time on is read; an older
question reads further back, and as much again before it. Asking again costs one statement, the
newest version; where it moved, what changed since is read, never a whole catalog. Tenants that were
asked for longest ago are forgotten beyond `MAX_ROWS` rows, and what reaches further back than so
many blocks of one tenant is asked for in the catalog itself.
Invariant: an answer holds what was visible when it was asked for, or later.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from narfi.core.clock import NS_PER_S
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog
from storage.catalog.held_blocks import HeldBlocks

MAX_ROWS = 200_000
"""Rows held, of all tenants: about 450 bytes each."""
LEAST_MARGIN_NS = 3600 * NS_PER_S
"""Read before an older question than the one before; as much as it asks for, if that is longer."""
FIRST_NS = -(2**63)
TRY_AGAIN = 10_000
"""Versions after which a time that had too many blocks behind it is counted anew: merges and
retention make them fewer."""


@dataclass(frozen=True, slots=True)
class _TooFar:
    """From this time on a tenant had more blocks than may be held."""

    since_ns: int
    version: int  # when that was so


class Listing:
    """The visible blocks by tenant, up to date at each question; thread-safe."""

    def __init__(self, catalog: Catalog, max_rows: int = MAX_ROWS) -> None:
        self._catalog, self._max_rows = catalog, max_rows
        self._lock = threading.Lock()
        self._version = -1  # of all that is held
        self._held: OrderedDict[TenantId, HeldBlocks] = OrderedDict()
        self._too_far: dict[TenantId, _TooFar] = {}

    def blocks(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[BlockRow]:
        """As `Catalog.blocks`."""
        newest = self._catalog.version()
        with self._lock:
            if newest > self._version:
                self._follow(newest)
            held = self._reaching(tenant, start_ns, end_ns)
            if held is not None:
                self._held.move_to_end(tenant)
                found = held.within(start_ns, end_ns)
                self._bound()
                return found
        return self._catalog.blocks(tenant, start_ns, end_ns)

    def _follow(self, newest: int) -> None:
        """Take over what changed; everything is forgotten where that is not known any more."""
        if not self._held:
            self._version = newest
            return
        changes = self._catalog.changes(self._version)
        if not changes.complete:
            self._held.clear()
        touched: dict[TenantId, list[BlockRow]] = {}
        for row in changes.visible:
            touched.setdefault(row.tenant, []).append(row)
        for tenant, held in self._held.items():
            held.change(touched.get(tenant, ()), changes.gone)
        self._version = changes.version
        self._bound()

    def _reaching(self, tenant: TenantId, start_ns: int, end_ns: int) -> HeldBlocks | None:
        """What is held of the tenant, from the start on at least; None where that is too much."""
        held = self._held.get(tenant)
        if held is not None and held.since_ns <= start_ns:
            return held
        margin = 0 if held is None else max(LEAST_MARGIN_NS, end_ns - start_ns)
        for since_ns in dict.fromkeys((max(start_ns - margin, FIRST_NS), start_ns)):
            if not self._is_too_far(tenant, since_ns):
                found = self._read(tenant, since_ns)
                if found is not None:
                    return found
        return None

    def _is_too_far(self, tenant: TenantId, since_ns: int) -> bool:
        known = self._too_far.get(tenant)
        if known is None or since_ns > known.since_ns:
            return False
        return self._version - known.version < TRY_AGAIN

    def _read(self, tenant: TenantId, since_ns: int) -> HeldBlocks | None:
        """Read and hold a tenant, in one statement: what is visible at one moment."""
        rows = self._catalog.newest(tenant, since_ns, self._max_rows)
        if rows is None:
            self._too_far[tenant] = _TooFar(since_ns, self._version)
            return None
        found = self._held[tenant] = HeldBlocks(rows, since_ns)
        return found

    def _bound(self) -> None:
        """Forget tenants until the rest is small enough; one that alone is too large as well."""
        while sum(map(len, self._held.values())) > self._max_rows:
            self._held.popitem(last=False)
