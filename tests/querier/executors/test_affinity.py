"""Has each block one owner, and does nobody wait while a worker has nothing to do?"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from querier.executors.affinity import MOST_PASSED, Waiting, next_task, owner

IDS = st.text("0123456789abcdef", min_size=1, max_size=32)
WORKERS = st.sets(st.integers(0, 40), min_size=1, max_size=12)


@given(st.lists(IDS, max_size=40), WORKERS)
def test_a_block_has_one_owner_whoever_asks(ids: list[str], workers: set[int]) -> None:
    for one in ids:
        assert owner(one, workers) in workers
        assert owner(one, workers) == owner(one, sorted(workers, reverse=True))


@given(st.lists(IDS, max_size=40), WORKERS, st.integers(0, 40))
def test_only_blocks_of_the_one_that_left_move(
    ids: list[str], workers: set[int], left: int
) -> None:
    both = workers | {left}
    for one in ids:
        if workers - {left} and owner(one, both) != left:
            assert owner(one, both - {left}) == owner(one, both)


@pytest.mark.parametrize("workers", [2, 3, 8, 40])
def test_blocks_are_divided_evenly(workers: int) -> None:
    counts = Counter(owner(f"{number:032x}", range(workers)) for number in range(workers * 1000))
    assert set(counts) == set(range(workers))
    assert max(counts.values()) < 1200
    assert min(counts.values()) > 800


@given(
    st.lists(st.sampled_from(["", *"abcdefgh"]), max_size=12),
    st.dictionaries(st.integers(0, 5), st.integers(0, 2), min_size=1),
    st.integers(1, 2),
)
def test_nobody_waits_for_a_worker_that_is_idle(
    ids: list[str], loads: dict[int, int], at_once: int
) -> None:
    """And none has more than its share while another one has nothing."""
    waiting = [Waiting(one) for one in ids]
    free = {worker: load for worker, load in loads.items() if load < at_once}
    while (found := next_task(waiting, loads, free)) is not None:
        place, worker = found
        if 0 in free.values():
            assert free[worker] == 0
        elif waiting[place].block_id:
            assert owner(waiting[place].block_id, loads) == worker
        its = waiting[place].block_id
        if its and owner(its, loads) != worker:
            assert all(free.get(owner(one.block_id, loads)) != 0 for one in waiting)
        waiting.pop(place)
        free[worker] += 1
        if free[worker] == at_once:
            del free[worker]
    assert not waiting or 0 not in free.values()
    owners = {owner(one.block_id, loads) for one in waiting if one.block_id}
    assert not owners & free.keys(), "whose owner takes one more has begun"


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.integers(1, 4))
def test_no_task_is_passed_over_for_ever(later: list[str], workers: int) -> None:
    """While a worker never has time for its own, the others take them."""
    first = Waiting("block")
    busy = owner(first.block_id, range(workers + 1))
    free = {worker: 0 for worker in range(workers + 1) if worker != busy}
    for passed, one in enumerate(later, 1):
        found = next_task([first, Waiting(one)], range(workers + 1), free)
        assert found is not None
        if found[0] == 0:
            return
        first.passed = passed
        assert passed <= MOST_PASSED
