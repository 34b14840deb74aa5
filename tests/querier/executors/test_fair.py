"""Is a tenant's request begun soon, however many others wait?"""

import gc
import threading
import time
import weakref
from concurrent.futures import wait
from functools import partial

import pytest

from narfi.core.errors import AppError
from narfi.core.limits import Limits
from querier.budget import (
    Budget,
    MemoryBusyError,
    QueryCancelledError,
    QueryTimeoutError,
    Total,
)
from querier.executors.fair import MEMORY_POLL_S, FairPool, TooManyOutstandingError

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


def test_who_waited_too_long_is_told_for_what() -> None:
    """A thread, or the memory that others hold, answers that are being sent too."""
    most = 1 << 20
    total = Total(most)
    pool, slow = FairPool(4, max_waiting=100, total=total), Gate()
    pool.submit("a", Budget(total), slow)
    assert slow.began.acquire(timeout=SECONDS)
    for held, why in ((0, "querier.query_threads"), (most * 9 // 10, "querier.max_memory")):
        sent = Budget(total)
        sent.charge(held)
        rest = [Budget(total) for _ in range(3)]
        for one in rest:
            one.begin(Limits(query_timeout_ns=10**9))
        jobs = [pool.submit("a", one, slow) for one in rest]
        if held:
            threading.Event().wait(2 * MEMORY_POLL_S)
            assert not any(job.running() for job in jobs)
        assert why in str(pool.waited_too_long("a", rest[-1]))
        sent.close()
        for job in jobs:
            job.cancel()
    late = Budget(total)
    late.begin(Limits(query_timeout_ns=1))
    job = pool.submit("b", late, slow)
    with pytest.raises(QueryTimeoutError):
        job.result(SECONDS)
    assert late.late_s() > 0
    slow.may_end.set()
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


def test_a_request_that_others_left_no_memory_is_done_again_when_they_are_gone() -> None:
    total = Total(1000)
    pool, slow = FairPool(4, max_waiting=10, total=total), Gate()
    heavy = Budget(total)
    heavy.charge(600)
    held = pool.submit("a", heavy, slow)
    assert slow.began.acquire(timeout=SECONDS)
    mine, tries, met = Budget(total), 0, threading.Event()
    mine.begin(Limits(max_query_memory=700))

    def work() -> str:
        nonlocal tries
        tries += 1
        with mine.attempt() as own:
            try:
                own.charge(500)
            except MemoryBusyError:
                met.set()
                raise
            return "answer"

    again = pool.submit("b", mine, work)
    assert met.wait(SECONDS)
    later = pool.submit("b", Budget(total), lambda: tries)
    time.sleep(0.2)
    assert (tries, again.done(), later.done()) == (1, False, False)
    slow.may_end.set()
    held.result(SECONDS)
    assert not again.done()  # what it held is not given back yet
    heavy.close()
    assert again.result(SECONDS) == "answer"
    assert later.result(SECONDS) == tries == 2
    pool.close()


def test_one_that_never_gets_memory_is_told_so() -> None:
    pool, tries = FairPool(1, max_waiting=10, total=Total(1000)), 0

    def work() -> None:
        nonlocal tries
        tries += 1
        raise MemoryBusyError("taken")

    with pytest.raises(MemoryBusyError):
        pool.submit("a", Budget(), work).result(SECONDS)
    assert 1 < tries < 10
    pool.close()


def test_one_that_is_to_be_done_again_ends_with_its_time_and_with_the_pool() -> None:
    total = Total(1000)
    pool, slow = FairPool(4, max_waiting=10, total=total), Gate()
    heavy = Budget(total)
    heavy.charge(900)
    pool.submit("a", heavy, slow)
    assert slow.began.acquire(timeout=SECONDS)
    met = threading.Semaphore(0)

    def work() -> None:
        met.release()
        raise MemoryBusyError("taken")

    heavy.release(500)
    waiting = []
    for name, limits in (("b", Limits(query_timeout_ns=10**9)), ("c", Limits())):
        budget = Budget(total)
        budget.begin(limits)
        waiting.append(pool.submit(name, budget, work))
        assert met.acquire(timeout=SECONDS)
    heavy.charge(500)
    with pytest.raises(QueryTimeoutError):
        waiting[0].result(SECONDS)
    slow.may_end.set()
    pool.close()
    with pytest.raises((QueryCancelledError, MemoryBusyError)):
        waiting[1].result(SECONDS)


def test_a_tenant_of_which_nothing_runs_may_use_what_is_kept_back() -> None:
    total = Total(1000)
    pool, slow = FairPool(4, max_waiting=10, total=total), Gate()
    heavy = Budget(total)
    heavy.charge(800)
    held = pool.submit("a", heavy, slow)
    assert slow.began.acquire(timeout=SECONDS)
    more = pool.submit("a", Budget(total), lambda: "later")
    assert pool.submit("b", Budget(total), lambda: "now").result(SECONDS) == "now"
    assert not more.done()
    slow.may_end.set()
    held.result(SECONDS)
    assert more.result(SECONDS) == "later"
    pool.close()


def test_one_that_is_done_again_keeps_no_other_tenant_waiting() -> None:
    """It may take all memory, but it has not."""
    total = Total(1000)
    pool, slow, tries = FairPool(4, max_waiting=10, total=total), Gate(), 0
    mine = Budget(total)
    mine.begin(Limits(max_query_memory=1000))

    def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise MemoryBusyError("taken")
        slow()

    again = pool.submit("a", mine, work)
    assert slow.began.acquire(timeout=SECONDS)
    assert pool.submit("b", Budget(total), lambda: "now").result(SECONDS) == "now"
    slow.may_end.set()
    again.result(SECONDS)
    pool.close()


def test_a_request_that_gets_no_thread_in_most_of_its_time_is_told_what_to_do() -> None:
    pool, slow = FairPool(1, max_waiting=10), Gate()
    pool.submit("a", Budget(), slow)
    assert slow.began.acquire(timeout=SECONDS)
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=2 * 10**9))
    late = pool.submit("b", budget, lambda: pytest.fail("little of its time is left"))
    time.sleep(1.6)
    slow.may_end.set()
    with pytest.raises(TooManyOutstandingError, match=r"querier\.query_threads") as found:
        late.result(SECONDS)
    assert found.value.retry_after_s
    pool.close()


class Held:
    """Stands for arrays of a query."""


@pytest.mark.parametrize("error", [QueryTimeoutError("late"), MemoryBusyError("full")])
def test_what_failed_keeps_none_of_its_values(error: AppError) -> None:
    """Whoever has the future has the error; the collector of cycles frees no bytes in time."""
    pool, seen = FairPool(1, max_waiting=10), list[weakref.ref[Held]]()

    def work() -> None:
        held = Held()
        seen.append(weakref.ref(held))
        raise type(error)(error.message)  # the frame, and so `held`, is known to the error

    gc.collect()
    gc.disable()
    try:
        job = pool.submit("a", Budget(), work)
        found = job.exception(SECONDS)
        assert isinstance(found, type(error))
        assert found.__traceback__ is not None
        assert [one() for one in seen] == [None] * len(seen)
        assert seen
    finally:
        gc.enable()
        pool.close()
