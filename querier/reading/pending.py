"""Which delete requests are not done yet? Read from the catalog, which all processes share.

Invariant: what this process acknowledged is known at once; what another one did, a second later.
The statement is small, and is run at most once a second while nothing changes here.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from narfi.core.tenant import TenantId
from querier.reading.deletes import Deletion, deletion_of
from storage.catalog.delete_log import DeleteLog, DeleteRequest

FRESH_S = 1.0
"""How long what was read is believed."""

Key = tuple[TenantId, str]
"""A request, by tenant and id."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the catalog said."""

    changes: int = -1  # of the log, before it was asked
    at_s: float = 0.0  # before it was asked
    requests: dict[TenantId, list[DeleteRequest]] = field(default_factory=dict)


class PendingDeletes:
    """Requests that are neither done nor cancelled; thread-safe."""

    def __init__(self, log: DeleteLog, seconds: Callable[[], float] = time.monotonic) -> None:
        self._log, self._seconds = log, seconds
        self._lock = threading.Lock()
        self._read = _Read()
        self._deletions: dict[Key, Deletion] = {}  # of `_read`, those that were asked for

    def of(self, tenant: TenantId) -> Sequence[Deletion]:
        """Those of a tenant, oldest first; raises `CatalogError` where it cannot be read."""
        requests = self._fresh().requests.get(tenant)
        return [self._deletion(request) for request in requests] if requests else ()

    def _fresh(self) -> _Read:
        read = self._read
        if self._is_fresh(read):
            return read
        with self._lock:
            if self._is_fresh(self._read):
                return self._read
            changes, at_s = self._log.changes, self._seconds()
            found: dict[TenantId, list[DeleteRequest]] = {}
            for request in self._log.pending():
                found.setdefault(request.tenant, []).append(request)
            read = _Read(changes, at_s, found)
            known = {(r.tenant, r.request_id) for one in found.values() for r in one}
            self._deletions = {k: v for k, v in self._deletions.items() if k in known}
            self._read = read
        return read

    def _is_fresh(self, read: _Read) -> bool:
        return read.changes == self._log.changes and self._seconds() - read.at_s < FRESH_S

    def _deletion(self, request: DeleteRequest) -> Deletion:
        """The request's query is read once."""
        key = (request.tenant, request.request_id)
        with self._lock:
            found = self._deletions.get(key)
            if found is None:
                found = self._deletions[key] = deletion_of(request)
        return found
