"""Which notices wait for an Alertmanager? A queue for each tenant, which take turns.

Of an alert only the newest notice waits. A tenant whose requests fail has a pause of its own, which
grows: an Alertmanager that refuses one tenant is told the alerts of the others meanwhile.
Not thread-safe: its owner holds a lock.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from narfi.core.tenant import TenantId
from ruler.alerts import Key
from ruler.notices import Notice

MAX_BATCH = 256
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0

Batch = tuple[TenantId, list[Notice]]


@dataclass(slots=True)
class _Queue:
    """Of one tenant; it is there as long as something waits or the last request failed."""

    notices: OrderedDict[Key, Notice] = field(default_factory=OrderedDict)
    pause_s: float = 0.0  # after the last request; 0: it was taken
    due_s: float = 0.0  # not before


class WaitingNotices:
    """The notices that wait for one Alertmanager."""

    def __init__(self, capacity: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        """`capacity` of each tenant."""
        self._capacity, self._clock_s = capacity, clock_s
        self._tenants: OrderedDict[TenantId, _Queue] = OrderedDict()  # the next turn first

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(queue.notices) for queue in self._tenants.values())

    def offer(self, tenant: TenantId, notices: Iterable[Notice]) -> int:
        """Add; the newest of an alert takes the place of the one before. How many were dropped."""
        queue = self._tenants.setdefault(tenant, _Queue())
        for notice in notices:
            queue.notices[notice.labels] = notice
        dropped = max(0, len(queue.notices) - self._capacity)
        for _ in range(dropped):
            queue.notices.popitem(last=False)
        return dropped

    def take(self) -> Batch | None:
        """A batch of the tenant whose turn it is, out of its queue; None where none is due."""
        now_s = self._clock_s()
        for tenant, queue in self._tenants.items():
            if queue.notices and queue.due_s <= now_s:
                self._tenants.move_to_end(tenant)
                keys = list(queue.notices)[:MAX_BATCH]
                return tenant, [queue.notices.pop(key) for key in keys]
        return None

    def due_in_s(self) -> float | None:
        """Until the next one is due; None where nothing waits."""
        due = [queue.due_s for queue in self._tenants.values() if queue.notices]
        return max(min(due) - self._clock_s(), 0.001) if due else None

    def done(self, tenant: TenantId) -> None:
        """A batch was told, or given up."""
        queue = self._tenants[tenant]
        queue.pause_s = queue.due_s = 0.0
        if not queue.notices:
            del self._tenants[tenant]

    def give_back(self, tenant: TenantId, notices: Sequence[Notice]) -> None:
        """A batch that was not told: it is the tenant's next one, but for what is newer by now."""
        queue = self._tenants[tenant]
        queue.pause_s = min(2 * queue.pause_s or FIRST_PAUSE_S, LAST_PAUSE_S)
        queue.due_s = self._clock_s() + queue.pause_s
        for notice in reversed(notices):
            if notice.labels not in queue.notices:
                queue.notices[notice.labels] = notice
                queue.notices.move_to_end(notice.labels, last=False)
