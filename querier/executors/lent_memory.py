"""How is a budget kept in another process? Its memory is lent by the server, in steps.

The budget of a query stays where the query is; a scan process asks for some MB before it takes
memory, and gives back what it needs no more. What is lent is charged to the query and to all.
Invariant: what the tasks of a process have charged is never more than what was lent to it.
"""

import contextlib
from collections.abc import Callable

from querier.budget import Budget, MemoryBusyError, QueryMemoryError

STEP_BYTES = 4 << 20
"""Asked for at once: a task asks a few times, and a query holds so much too much at most a task."""
MOST_FREE = 2 * STEP_BYTES
"""Beyond it, what is not used is given back before the task ends."""


class LentMemory:
    """Memory that the server lends for one task; one thread at a time."""

    def __init__(
        self, lent: int, ask: Callable[[int, int], int], give_back: Callable[[int], None]
    ) -> None:
        """`ask(needed, wanted)` gives the bytes that are lent, or raises as `Budget.charge`."""
        self._free, self._ask, self._give_back = lent, ask, give_back

    def take(self, size: int, held: int = 0) -> None:
        """As `Total.take`."""
        needed = size - self._free
        if needed > 0:
            self._free += self._ask(needed, -(-needed // STEP_BYTES) * STEP_BYTES)
        self._free -= size

    def give_back(self, size: int) -> None:
        """No longer held."""
        self._free += size
        if self._free > MOST_FREE:
            returned, self._free = self._free - STEP_BYTES, STEP_BYTES
            self._give_back(returned)


class TaskBudget(Budget):
    """The budget of one task; whether it is still wanted is looked at at every check."""

    def __init__(self, memory: LentMemory, is_cancelled: Callable[[], bool]) -> None:
        super().__init__(memory)
        self._is_cancelled = is_cancelled

    def check(self) -> None:
        """As `Budget.check`; the server knows whether time is over or the client has gone."""
        if self._is_cancelled():
            self.cancel()
        super().check()


def lend(budget: Budget, needed: int, wanted: int) -> int:
    """Charge what is wanted, or at least what is needed; how much. Raises as `Budget.charge`."""
    if wanted > needed:
        with contextlib.suppress(QueryMemoryError, MemoryBusyError):
            budget.charge(wanted)
            return wanted
    budget.charge(needed)
    return needed
