"""Is there room for another push? By bytes, of the server and of its tenant.

Two answers, at two places. `wait` belongs to the event loop, before a body is decoded: a tenant
whose full parts come faster than they are flushed waits for them, a few seconds at most; while its
flush fails, only where it would else be refused; no thread waits with it. It waits a little for
each push rather than long for one: the next part may be as full as the flush is far, and somewhat
fuller, so it is full when the flush is done, and two parts are in memory. `taken` belongs to the
push: what does not fit is refused at once, with 429 when the tenant has its share and 503 when the
server is full.
Invariant: pushes under way and unflushed entries together cost at most `Heads.max_bytes`, and those
of one tenant its share of them, unless it is a single push.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

from ingester.errors import OverloadedError, TenantFullError
from ingester.head import Heads
from narfi.core.tenant import TenantId
from narfi.core.threads import SYSTEM_THREADS, Threads

WAIT_S = 5.0
"""How long a push waits for the flush of its tenant, before limits decide."""
TENANT_SHARE = 2
"""A tenant may hold the server's bytes divided by this."""
WAITING_SHARE = 4
"""Full parts of all tenants may take the server's bytes divided by this before any push waits."""
PATIENCE = 4
"""What is too far ahead waits so many times as long more: the more pushes are at work at once, the
further they are ahead, and none is sent on before the flush could be there."""
STOPPED = 2.25
"""So many parts, cut or not, before a push waits as long as it may: memory has room for so many."""
AHEAD = 0.25
"""Of a part, pushes may be ahead of the flush when it begins, and wait only as long as it takes for
that: with more, no push waits for a longer pause of the flush, and less of the next part is left
for the rest of it."""

_Waiter = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class HeadRoom:
    """Bytes that may be unflushed; thread-safe."""

    def __init__(
        self,
        heads: Heads,
        is_failing: Callable[[TenantId], bool],
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._heads, self._max, self._is_failing = heads, heads.max_bytes, is_failing
        self._lock = threads.lock()
        self._under_way: Counter[TenantId] = Counter()
        self._all_under_way = 0
        self._waiting: dict[TenantId, list[_Waiter]] = {}
        heads.when_flushed(self._tell)

    @contextlib.contextmanager
    def taken(self, tenant: TenantId, cost: int) -> Iterator[None]:
        """So many bytes are set aside within; raises when there is no room for them."""
        with self._lock:
            self._check(tenant, cost)
            self._under_way[tenant] += cost
            self._all_under_way += cost
        try:
            yield
        finally:
            with self._lock:
                self._all_under_way -= cost
                self._under_way[tenant] -= cost
                if not self._under_way[tenant]:
                    del self._under_way[tenant]

    def _check(self, tenant: TenantId, cost: int) -> None:
        if self._heads.bytes + self._all_under_way + cost > self._max:
            raise OverloadedError(self._max)
        held = self._heads.held(tenant) + self._under_way[tenant]
        share = self._max // TENANT_SHARE
        if held and held + cost > share:
            raise TenantFullError(tenant, held, share)

    async def wait(self, tenant: TenantId) -> None:
        """Return once the tenant's flush has caught up, or after `WAIT_S`; never refuses."""
        began = time.monotonic()
        while began + self.seconds_to_wait(tenant) > time.monotonic():
            told = self._listen(tenant)
            left = began + self.seconds_to_wait(tenant) - time.monotonic()
            if left <= 0:  # the flush went on before we listened
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told, left)

    def seconds_to_wait(self, tenant: TenantId) -> float:
        """How long a push of the tenant may wait for its flush as things are now."""
        backlog, part = self._heads.backlog(tenant), self._heads.part_bytes
        if not backlog.tenants:  # it has no cut part
            return 0.0
        if self._is_failing(tenant):  # a full disk has room again in a moment, a store has not
            is_full = self._heads.held(tenant) + part > self._max // TENANT_SHARE
            return WAIT_S if is_full else 0.0
        share = self._max // WAITING_SHARE // backlog.tenants
        if backlog.cut > share or backlog.cut + backlog.active > STOPPED * part:
            return WAIT_S
        ahead = max(0.0, backlog.left + backlog.active - part)
        too_far = max(0.0, ahead - AHEAD * min(backlog.left, part))
        return min((ahead + PATIENCE * too_far) / backlog.speed, WAIT_S)

    def _listen(self, tenant: TenantId) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        told: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiting.setdefault(tenant, []).append((loop, told))
        return told

    def _tell(self, tenant: TenantId) -> None:
        """The tenant's flush went on: its pushes look again."""
        with self._lock:
            waiting = self._waiting.pop(tenant, [])
        for loop, told in waiting:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(_wake, told)


def _wake(told: "asyncio.Future[None]") -> None:
    if not told.done():
        told.set_result(None)
