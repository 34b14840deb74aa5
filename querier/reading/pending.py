"""Which delete requests are not done yet? Followed in the catalog, which all processes share.

Invariants: what this process acknowledged is known at once; what another one did, a second later.
What it costs to know grows with the tenants whose requests changed, and a tenant's requests are
read for questions about this tenant only: nobody pays for the many requests of another one.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from narfi.core.tenant import TenantId
from querier.reading.deletes import Deletion, deletion_of
from storage.catalog.delete_log import NOTHING_SEEN, DeleteLog

FRESH_S = 1.0
"""How long what was heard is believed."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """When the log was asked last, and how far."""

    changes: int = -1  # of the log, before it was asked
    at_s: float = 0.0  # before it was asked
    version: int = NOTHING_SEEN


@dataclass(frozen=True, slots=True)
class _Known:
    """What a tenant had pending."""

    version: int  # or a later one
    deletions: tuple[Deletion, ...]


class PendingDeletes:
    """Requests that are neither done nor cancelled; thread-safe."""

    def __init__(self, log: DeleteLog, seconds: Callable[[], float] = time.monotonic) -> None:
        self._log, self._seconds = log, seconds
        self._lock = threading.Lock()
        self._heard = _Heard()
        self._changed: dict[TenantId, int] = {}  # versions; tenants that may have any pending
        self._known: dict[TenantId, _Known] = {}  # those that were asked for

    def of(self, tenant: TenantId) -> Sequence[Deletion]:
        """Those of a tenant, oldest first; raises `CatalogError` where it cannot be read."""
        self._follow()
        version = self._changed.get(tenant)
        if version is None:
            return ()
        known = self._known.get(tenant)
        if known is None or known.version < version:
            known = self._read(tenant, version, known)
        return known.deletions

    def _follow(self) -> None:
        """Hear of whom something changed, unless that was asked within the last second."""
        if self._is_fresh():
            return
        with self._lock:
            if self._is_fresh():
                return
            changes, at_s = self._log.changes, self._seconds()
            changed = self._log.changed_since(self._heard.version)
            self._changed.update(changed)
            newest = max(changed.values(), default=self._heard.version)
            self._heard = _Heard(changes, at_s, newest)

    def _is_fresh(self) -> bool:
        heard = self._heard
        return heard.changes == self._log.changes and self._seconds() - heard.at_s < FRESH_S

    def _read(self, tenant: TenantId, version: int, before: _Known | None) -> _Known:
        """Read a tenant's requests as they are at a version or later; nobody else waits for it."""
        parsed = {one.request_id: one for one in before.deletions} if before else {}
        requests = self._log.pending(tenant)
        deletions = tuple(parsed.get(one.request_id) or deletion_of(one) for one in requests)
        found = _Known(version, deletions)
        with self._lock:
            known = self._known.get(tenant)
            if known is None or known.version < version:
                self._known[tenant] = found
            if not deletions and self._changed.get(tenant) == version:
                self._known.pop(tenant, None)
                self._changed.pop(tenant, None)
        return found
