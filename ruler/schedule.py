"""When is which group evaluated, and by whom? One thread that plans, and a pool that evaluates.

A group's slots lie at `t mod interval = h mod interval`, with h a hash of its names: groups are
spread over the interval, and the slots of one are the same after a restart. A slot whose evaluation
before is not done is missed and counted; nothing is caught up.
Invariant: a group is with one thread at a time: the pool's while it is evaluated, else the
planner's, which alone exchanges and removes groups.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import structlog

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from narfi.core.threads import SYSTEM_THREADS, Thread, Threads
from querier.budget import Budget
from querier.executors.fair import FairPool
from ruler import metrics
from ruler.live_group import LiveGroup, Outlets
from ruler.live_rule import Means
from storage.catalog.rule_keys import GroupKey

log = structlog.get_logger(__name__)

MAX_SLEEP_S = 60.0
LOOK_PAUSE_NS = 200_000_000
"""Between two looks at what there is, however often it changes."""
Refresh = Callable[[Mapping[GroupKey, LiveGroup], frozenset[GroupKey]], Sequence[LiveGroup] | None]
"""Given the groups there are, and those that are being evaluated: what there should be, each an old
object or one that goes on as it; None where that is not known. What is busy must stay."""


def slot_after(key: GroupKey, interval_ns: int, now_ns: int) -> int:
    """The first slot of a group behind a time."""
    text = f"{key.namespace}\0{key.name}".encode("utf-8", "replace")
    offset = int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % interval_ns
    return now_ns - (now_ns - offset) % interval_ns + interval_ns


@dataclass(slots=True, eq=False)
class _Planned:
    """A group with its next slot."""

    group: LiveGroup
    slot_ns: int
    is_busy: bool = False


class Scheduler:
    """Evaluates groups at their slots."""

    def __init__(
        self,
        *,
        means: Means,
        pool: FairPool,
        refresh: Refresh,
        outlets: Outlets,
        poll_ns: int,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._means, self._pool, self._refresh, self._outlets = means, pool, refresh, outlets
        self._clock: Clock = means.clock
        self._poll_ns = poll_ns
        self._seam = threads
        self._changed = threads.condition()
        self._planned: dict[GroupKey, _Planned] = {}
        self._poll_at_ns = self._looked_ns = 0
        self._stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, or `NoThreadError`."""
        self._thread = self._seam.start("ruler", self._loop)

    def wake(self) -> None:
        """Groups have changed: look now."""
        with self._changed:
            self._poll_at_ns = 0
            self._changed.notify_all()

    def ask_to_stop(self) -> None:
        """Begin no evaluation; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Wait for the planner; the pool is its owner's to close before."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join()

    def is_stopping(self) -> bool:
        """Whether what fails now fails because of that."""
        return self._stopping

    def groups(self) -> list[LiveGroup]:
        """The groups of this moment, in order of their keys."""
        with self._changed:
            found = [planned.group for planned in self._planned.values()]
        return sorted(found, key=lambda g: (g.key.tenant, g.key.namespace, g.key.name))

    def _loop(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = self._clock.now_ns()
                polls = now >= self._poll_at_ns and not 0 <= now - self._looked_ns < LOOK_PAUSE_NS
                if polls:
                    self._looked_ns, self._poll_at_ns = now, now + self._poll_ns
            if polls:
                self.look()
            self.begin_due()
            with self._changed:
                if not self._stopping:
                    self._changed.wait(self._sleep_s())

    def _sleep_s(self) -> float:
        now = self._clock.now_ns()
        due = [planned.slot_ns for planned in self._planned.values()]
        until = min([max(self._poll_at_ns, self._looked_ns + LOOK_PAUSE_NS), *due])
        return min(max((until - now) / 1e9, 0.0), MAX_SLEEP_S)

    def look(self) -> None:
        """Exchange, add and remove groups."""
        with self._changed:
            there = {key: planned.group for key, planned in self._planned.items()}
            busy = frozenset(key for key, planned in self._planned.items() if planned.is_busy)
        try:
            wanted = self._refresh(there, busy)
        except AppError as error:
            log.error("rules cannot be read", error=error.message)
            return
        except Exception as error:
            log.error("rules cannot be read", exc_info=error)
            return
        if wanted is not None:
            self._exchange(wanted)

    def _exchange(self, wanted: Sequence[LiveGroup]) -> None:
        now = self._clock.now_ns()
        with self._changed:
            before, self._planned = self._planned, {}
            for group in wanted:
                old = before.pop(group.key, None)
                if old is None or old.group.interval_ns != group.interval_ns:
                    slot = slot_after(group.key, group.interval_ns, now)
                    old = _Planned(group, slot, is_busy=False if old is None else old.is_busy)
                old.group = group
                self._planned[group.key] = old
                metrics.INTERVAL.labels(*group.metric_labels).set(group.interval_ns / 1e9)
                metrics.RULES.labels(*group.metric_labels).set(len(group.rules))
        for gone in before.values():
            metrics.forget_group(*gone.group.metric_labels)

    def begin_due(self) -> None:
        """Hand groups whose slot has come to the pool."""
        now = self._clock.now_ns()
        with self._changed:
            for planned in self._planned.values():
                interval = planned.group.interval_ns
                if planned.slot_ns - now > interval:  # the clock was put back
                    planned.slot_ns = slot_after(planned.group.key, interval, now)
                if planned.slot_ns > now:
                    continue
                passed = (now - planned.slot_ns) // interval
                slot = planned.slot_ns + passed * interval
                planned.slot_ns = slot + interval
                labels = planned.group.metric_labels
                begun = not planned.is_busy and self._begin(planned, slot)
                metrics.ITERATIONS.labels(*labels).inc(passed + 1)
                metrics.MISSED.labels(*labels).inc(passed + (not begun))

    def _begin(self, planned: _Planned, slot_ns: int) -> bool:
        planned.is_busy = True
        try:
            self._pool.submit(
                planned.group.key.tenant, Budget(), lambda: self._evaluate(planned, slot_ns)
            )
        except AppError:  # too many wait already
            planned.is_busy = False
        return planned.is_busy

    def _evaluate(self, planned: _Planned, slot_ns: int) -> None:
        group = planned.group
        try:
            group.evaluate(self._means, slot_ns, self._outlets, self.is_stopping)
        except Exception as error:
            log.error("a group cannot be evaluated", group=group.key.name, exc_info=error)
        finally:
            with self._changed:
                planned.is_busy = False
                if group.is_over or group.is_stale:
                    self._poll_at_ns = 0
                self._changed.notify_all()
