"""Is a tenant's request begun soon, however many others wait?"""

import gc
import threading
import time
import weakref
from concurrent.futures import wait
from functools import partial

import pytest

from narfi.core.limits import Limits
from querier.budget import Budget, QueryCancelledError, QueryTimeoutError, Total
from querier.executors.fair import FairPool, TooManyOutstandingError

SECONDS = 60


class Gate:
    """Work that says that it began, and ends when it may."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Semaphore(0), threading.Event()

    def __call__(self) -> None:
        self.began.release()
        assert self.may_end.wait(SECONDS)


def test_a_tenant_never_has_all_threads() -> None:
    pool, slow = FairPool(4, max_waiting=100), Gate()
    held = [pool.submit("slow", Budget(), slow) for _ in range(24)]
    for _ in range(3):
        assert slow.began.acquire(timeout=SECONDS)
    assert pool.submit("other", Budget(), lambda: "answer").result(SECONDS) == "answer"
    assert sum(future.running() for future in held) == 3
    slow.may_end.set()
    assert not wait(held, SECONDS).not_done
    pool.close()


def test_tenants_are_served_in_turn() -> None:
    pool, first = FairPool(1, max_waiting=100), Gate()
    held = pool.submit("a", Budget(), first)
    assert first.began.acquire(timeout=SECONDS)
    order: list[str] = []
    rest = [
        pool.submit(name[0], Budget(), partial(order.append, name))
        for name in ("a0", "a1", "a2", "b0", "b1", "c0")
    ]
    first.may_end.set()
    assert not wait([held, *rest], SECONDS).not_done
    assert order == ["a0", "b0", "c0", "a1", "b1", "a2"]
    pool.close()


def test_a_full_queue_refuses_and_forgets_what_was_cancelled() -> None:
    pool, slow = FairPool(1, max_waiting=2), Gate()
    pool.submit("a", Budget(), slow)
    assert slow.began.acquire(timeout=SECONDS)
    waiting = [pool.submit("a", Budget(), lambda: None) for _ in range(2)]
    with pytest.raises(TooManyOutstandingError, match="too many outstanding requests"):
        pool.submit("a", Budget(), lambda: None)
    other = pool.submit("b", Budget(), lambda: "in")  # a queue of its own
    assert waiting[0].cancel()
    again = pool.submit("a", Budget(), lambda: "again")
    slow.may_end.set()
    assert (other.result(SECONDS), again.result(SECONDS)) == ("in", "again")
    pool.close()


def test_waiting_counts_against_the_timeout() -> None:
    pool, slow = FairPool(1, max_waiting=10), Gate()
    pool.submit("a", Budget(), slow)
    assert slow.began.acquire(timeout=SECONDS)
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=1))
    late = pool.submit("b", budget, lambda: pytest.fail("its time was over before"))
    slow.may_end.set()
    with pytest.raises(QueryTimeoutError):
        late.result(SECONDS)
    pool.close()


def test_nothing_starts_while_the_memory_is_taken() -> None:
    total = Total(1000)
    pool, slow = FairPool(4, max_waiting=10, total=total), Gate()
    heavy = Budget(total)
    heavy.charge(900)
    held = pool.submit("a", heavy, slow)
    assert slow.began.acquire(timeout=SECONDS)
    began: list[bool] = []
    small = pool.submit("b", Budget(total), lambda: began.append(slow.may_end.is_set()))
    slow.may_end.set()
    held.result(SECONDS)
    small.result(SECONDS)
    assert began == [True]
    assert pool.submit("b", Budget(total), lambda: 1).result(SECONDS) == 1  # alone: it starts
    pool.close()


def test_closing_ends_what_runs_and_what_waits() -> None:
    pool, began, budget = FairPool(1, max_waiting=10), threading.Event(), Budget()

    def work() -> None:
        began.set()
        while True:
            budget.check()

    running = pool.submit("a", budget, work)
    assert began.wait(SECONDS)
    waiting = pool.submit("a", Budget(), lambda: None)
    pool.close()
    with pytest.raises(QueryCancelledError):
        running.result(0)
    assert waiting.cancelled()
    with pytest.raises(TooManyOutstandingError, match="stopping"):
        pool.submit("a", Budget(), lambda: None)


def test_an_idle_thread_holds_no_answer() -> None:
    """Answers are large: one that was sent is not kept until the thread has another request."""

    class Large:
        pass

    pool = FairPool(1, max_waiting=1)
    held = pool.submit("a", Budget(), Large).result(SECONDS)
    gone = weakref.ref(held)
    del held
    until = time.monotonic() + SECONDS
    while gone() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None
    pool.close()
