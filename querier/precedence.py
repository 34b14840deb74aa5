"""Who goes first? A request that has just begun, before those that have run for long.

All threads share one interpreter and few cores, so what needs five milliseconds takes many times as
long beside queries that need seconds. While a request of a tenant of which nothing else runs is in
its first moments, all others wait a little wherever they look at their budget.
Invariant: nobody waits longer than `WAIT_S` at once, nor more than half of the time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

FIRST_S = 0.1
"""So long a request goes first; one that needs more is not small."""
WAIT_S = 0.05
"""A wait ends by then, whoever still goes first: the others may hold what it needs."""


class Turn:
    """The place of one request, and of all attempts at it; thread-safe."""

    __slots__ = ("_order", "rests_until_s")

    def __init__(self, order: "Precedence") -> None:
        self._order = order
        self.rests_until_s = 0.0  # monotonic; it waits for nobody before

    def give_way(self) -> None:
        """Wait a little where another request goes first."""
        self._order.wait(self)

    def first(self) -> AbstractContextManager[None]:
        """Let the request go first, for `FIRST_S` at most."""
        return self._order.first(self)


class Precedence:
    """The requests of a process that go first; thread-safe."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._changed = threading.Condition()
        self._until_s: dict[Turn, float] = {}

    @contextmanager
    def first(self, turn: Turn) -> Iterator[None]:
        """As `Turn.first`."""
        with self._changed:
            self._until_s[turn] = self._now_s() + FIRST_S
        try:
            yield
        finally:
            with self._changed:
                self._until_s.pop(turn, None)
                if not self._until_s:
                    self._changed.notify_all()

    def wait(self, turn: Turn) -> None:
        """Return when nobody else goes first, or after `WAIT_S`."""
        if not self._until_s or turn in self._until_s:
            return
        began = self._now_s()
        if began < turn.rests_until_s:
            return
        with self._changed:
            while (left_s := self._left_s(turn, began + WAIT_S)) > 0:
                self._changed.wait(left_s)
        ended = self._now_s()
        turn.rests_until_s = ended + (ended - began)

    def _left_s(self, turn: Turn, until_s: float) -> float:
        now = self._now_s()
        for other, end_s in list(self._until_s.items()):
            if end_s <= now:
                del self._until_s[other]
        if not self._until_s or turn in self._until_s:
            return 0.0
        return min(until_s, max(self._until_s.values())) - now
