"""What should an answer say about entries that were lost? A warning where its reads can touch them.

A loss is a row of the catalog: acknowledged records of the journal that were found missing at a
start. Invariant: every part of a query that reads a time which a loss can touch leaves its warning
in the answer, until the operator says that the loss is understood.
"""

import threading
from collections.abc import Callable, Sequence

from narfi.core.clock import NS_PER_S, Clock, rfc3339
from querier.result import Shortfall
from storage.catalog.base import Loss

FRESH_NS = 10 * NS_PER_S
"""How long the catalog is not asked again: losses come at a start and go by hand."""

Warnings = Callable[[int, int], Sequence[str]]
"""What to say of a read of `start_ns <= ts < end_ns`."""


def nothing_missing(_start_ns: int, _end_ns: int) -> Sequence[str]:
    """For a store without a journal."""
    return ()


class Missing:
    """The losses that answers warn of; thread-safe."""

    def __init__(self, losses: Callable[[], Sequence[Loss]], clock: Clock) -> None:
        self._losses, self._clock = losses, clock
        self._lock = threading.Lock()
        self._known: Sequence[Loss] = ()
        self._until_ns = 0

    def warnings(self, start_ns: int, end_ns: int) -> Sequence[str]:
        """A text for each loss that can touch the range, oldest first."""
        return [
            _told(loss) for loss in self._now() if loss.from_ns < end_ns and loss.to_ns >= start_ns
        ]

    def _now(self) -> Sequence[Loss]:
        now = self._clock.now_ns()
        with self._lock:
            if now >= self._until_ns:
                self._known, self._until_ns = self._losses(), now + FRESH_NS
            return self._known


def _told(loss: Loss) -> str:
    records = f"records {loss.first_position} to {loss.last_position} of journal {loss.journal_id}"
    text = (
        f"entries from {rfc3339(loss.from_ns)} to {rfc3339(loss.to_ns)} may be missing: "
        f"{loss.reason} ({records})"
    )
    return Shortfall(text, loss.from_ns, loss.to_ns)
