"""Are bytes in flight counted once, given back once, and refused beyond the limit?"""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.in_flight import FREE, BusyError, InFlight, TooCostlyError, charge_of

MOST = 100


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("take", "close")), st.integers(0, 120)))
)
def test_it_counts_as_a_dict_does(steps: list[tuple[int, str, int]]) -> None:
    budget = InFlight(MOST)
    charges = [budget.open() for _ in range(4)]
    held: dict[int, int] = dict.fromkeys(range(4), 0)
    for who, what, size in steps:
        if what == "close":
            charges[who].close()
            held[who] = 0
            charges[who] = budget.open()
        elif held[who] + size > MOST:
            with pytest.raises(TooCostlyError):
                charges[who].take(size)
        elif sum(held.values()) + size > MOST:
            with pytest.raises(BusyError):
                charges[who].take(size)
        else:
            charges[who].take(size)
            held[who] += size
        assert budget.used == sum(held.values())


def test_what_is_taken_after_the_end_is_not_counted() -> None:
    budget = InFlight(MOST)
    with budget.open() as charge:
        charge.take(5)
    charge.take(5)
    charge.close()
    assert budget.used == 0


def test_threads_take_no_more_than_there_is() -> None:
    budget = InFlight(MOST)
    refused: list[int] = []

    def work() -> None:
        for _ in range(300):
            with budget.open() as charge:
                try:
                    charge.take(30)
                    assert budget.used <= MOST
                except BusyError:
                    refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 0


def test_a_scope_without_a_charge_counts_nothing() -> None:
    assert charge_of({}) is FREE
    FREE.take(1 << 60)
