"""Who of other processes follows what comes in? Queues of batches, by tenant.

A push only puts its batch into the queues of its tenant's followers. Invariant: a slow follower
never slows a push: what its queue cannot hold is dropped, the oldest first, and counted.
"""

import threading
from collections import deque
from collections.abc import Sequence

from narfi.core.tenant import TenantId
from storage.batch import LogBatch

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Lines that wait for one follower."""


class Follower:
    """One process that follows a tenant."""

    def __init__(self) -> None:
        self._queue: deque[LogBatch] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self.dropped = 0  # entries

    def offer(self, batch: LogBatch) -> None:
        """Queue a batch."""
        assert batch.lines is not None
        with self._lock:
            self._queue.append(batch)
            self._bytes += batch.lines.nbytes()
            while self._bytes > MAX_WAITING_BYTES:
                oldest = self._queue.popleft()
                assert oldest.lines is not None
                self._bytes -= oldest.lines.nbytes()
                self.dropped += len(oldest)

    def drain(self) -> Sequence[LogBatch]:
        """What waits, oldest first."""
        with self._lock:
            found, self._bytes = list(self._queue), 0
            self._queue.clear()
            return found


class Followers:
    """All followers, by tenant; thread-safe."""

    def __init__(self) -> None:
        self._by_tenant: dict[TenantId, tuple[Follower, ...]] = {}
        self._lock = threading.Lock()

    def offer(self, tenant: TenantId, batch: LogBatch) -> None:
        """A batch that is durable and visible now."""
        if self._by_tenant:  # the usual case costs nothing
            for follower in self._by_tenant.get(tenant, ()):
                follower.offer(batch)

    def open(self, tenant: TenantId) -> Follower:
        """Begin to follow."""
        follower = Follower()
        with self._lock:
            others = self._by_tenant.get(tenant, ())
            self._by_tenant = {**self._by_tenant, tenant: (*others, follower)}
        return follower

    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._by_tenant.values()))

    def close(self, tenant: TenantId, follower: Follower) -> None:
        """Stop following."""
        with self._lock:
            left = tuple(f for f in self._by_tenant.get(tenant, ()) if f is not follower)
            others = {name: held for name, held in self._by_tenant.items() if name != tenant}
            self._by_tenant = {**others, tenant: left} if left else others
