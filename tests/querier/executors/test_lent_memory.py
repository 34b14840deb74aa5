"""Is what a task charges in another process always lent to it, and given back?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.limits import Limits
from querier.budget import Budget, MemoryBusyError, QueryCancelledError, QueryMemoryError, Total
from querier.executors.lent_memory import MOST_FREE, STEP_BYTES, LentMemory, TaskBudget, lend

SIZES = st.integers(0, 100 << 20)


class Server:
    """Lends out of a budget, without a process between."""

    def __init__(self, most: int = 0, total: int = 0) -> None:
        self.budget = Budget(Total(total))
        self.budget.begin(Limits(max_query_memory=most))
        self.lent = lend(self.budget, 0, STEP_BYTES)
        self.messages = 0
        self.task = TaskBudget(LentMemory(self.lent, self._lend, self._take_back), lambda: False)

    def _lend(self, needed: int, wanted: int) -> int:
        self.messages += 1
        found = lend(self.budget, needed, wanted)
        self.lent += found
        return found

    def _take_back(self, size: int) -> None:
        self.messages += 1
        self.lent -= size
        self.budget.release(size)


@given(st.lists(st.tuples(st.booleans(), SIZES), max_size=30))
def test_what_is_charged_is_lent(steps: list[tuple[bool, int]]) -> None:
    server = Server()
    held: list[int] = []
    for charges, size in steps:
        if charges:
            server.task.charge(size)
            held.append(size)
        elif held:
            server.task.release(held.pop())
        assert server.task.used == sum(held)
        assert sum(held) <= server.lent == server.budget.used
        assert server.lent <= sum(held) + MOST_FREE


@given(st.lists(SIZES, max_size=9), st.integers(1, 200 << 20))
def test_memory_is_refused_exactly_where_the_query_has_no_more(sizes: list[int], most: int) -> None:
    server, used = Server(most), 0
    for size in sizes:
        try:
            server.task.charge(size)
            used += size
        except QueryMemoryError:
            assert used + size > most
        assert used <= most
        assert server.budget.used <= most


def test_small_charges_need_few_messages() -> None:
    server = Server()
    for _ in range(1000):
        server.task.charge(40 << 10)
    for _ in range(1000):
        server.task.release(40 << 10)
    assert server.messages < 30


def test_others_that_hold_it_are_told_apart() -> None:
    total = Total(10 << 20)
    other, budget = Budget(total), Budget(total)
    other.charge(6 << 20)
    assert lend(budget, 1, STEP_BYTES) == 1
    with pytest.raises(MemoryBusyError):
        lend(budget, 5 << 20, 8 << 20)
    budget.close()
    with pytest.raises(QueryCancelledError):
        lend(budget, 0, STEP_BYTES)


def test_every_check_asks_whether_it_is_wanted() -> None:
    wanted = [True, True, False]
    memory = LentMemory(0, lambda needed, _: needed, lambda _: None)
    budget = TaskBudget(memory, lambda: not wanted.pop(0))
    budget.check()
    budget.check()
    with pytest.raises(QueryCancelledError):
        budget.check()
