"""Do the leaf tasks of one query leave room for those of another?"""

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from narfi.core.limits import Limits
from querier.budget import Budget, QueryCancelledError, QueryTimeoutError
from querier.executors.local import NICENESS, LocalExecutor, in_order

SECONDS = 60


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    found = LocalExecutor(1)
    yield found
    found.close()


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_results_come_in_the_order_of_the_tasks(executor: LocalExecutor) -> None:
    assert list(executor.map(lambda n: n * n, range(50), Budget())) == [n * n for n in range(50)]
    assert list(executor.map(lambda n: n, [], Budget())) == []


def test_an_error_of_a_task_is_raised(executor: LocalExecutor) -> None:
    for error in (ValueError, TimeoutError):

        def fail(_: int, error: type[Exception] = error) -> None:
            raise error("of the task")

        with pytest.raises(error, match="of the task"):
            list(executor.map(fail, range(3), Budget()))


def test_a_query_that_has_just_begun_waits_for_no_task_of_another(executor: LocalExecutor) -> None:
    """One thread, and it is busy: the new query's task runs all the same."""
    may_end, running = threading.Event(), threading.Semaphore(0)

    def slow(_: int) -> None:
        running.release()
        assert may_end.wait(SECONDS)

    heavy = in_thread(lambda: list(executor.map(slow, range(10), Budget())))
    for _ in range(1):
        assert running.acquire(timeout=SECONDS)
    found = list(executor.map(lambda n: n, [7], Budget()))
    may_end.set()
    heavy.join(SECONDS)
    assert found == [7]


class Waits(Budget):
    """Says when a query waits for a result, and so has as many tasks waiting as it may."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Event()

    def check(self) -> None:
        self.waits.set()
        super().check()


def test_queries_are_served_in_turn(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tasks of each of three queries wait while the only thread is busy."""
    monkeypatch.setattr("querier.executors.local.EXPRESS_S", 0)  # its thread takes nothing
    may_end, order = threading.Event(), list[str]()
    threads = []

    def ask(task: Callable[[str], object], names: list[str]) -> None:
        budget = Waits()
        threads.append(in_thread(lambda: list(executor.map(task, names, budget))))
        assert budget.waits.wait(SECONDS)

    ask(lambda _: may_end.wait(SECONDS), ["first"])
    for name in "abc":
        ask(order.append, [name] * 2)
    may_end.set()
    for thread in threads:
        thread.join(SECONDS)
    assert order == ["a", "b", "c"] * 2


def test_waiting_for_a_task_ends_with_the_budget(executor: LocalExecutor) -> None:
    may_end = threading.Event()
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=1))
    with pytest.raises(QueryTimeoutError):
        list(executor.map(lambda _: may_end.wait(SECONDS), range(5), budget))
    gone = Budget()
    gone.cancel()
    with pytest.raises(QueryCancelledError):
        list(executor.map(lambda _: may_end.wait(SECONDS), range(5), gone))
    may_end.set()


class DoneTooLate(Future[int]):
    """Done between the end of a wait for it and the next look at it."""

    waits = 0

    def result(self, timeout: float | None = None) -> int:
        """The first wait has ended for nothing by then."""
        self.waits += 1
        if self.waits == 1:
            self.set_result(7)
            raise TimeoutError
        return super().result(timeout)


def test_a_task_that_ends_when_a_wait_for_it_does_has_its_result() -> None:
    future = DoneTooLate()
    assert list(in_order([future], 1, Budget(), lambda: None)) == [7]
    assert future.waits == 2


def test_a_timeout_that_a_task_raises_is_raised() -> None:
    future = Future[int]()
    future.set_exception(TimeoutError("of the store"))
    with pytest.raises(TimeoutError, match="of the store"):
        list(in_order([future], 1, Budget(), lambda: None))


def test_who_stops_to_listen_stops_the_work(executor: LocalExecutor) -> None:
    begun: list[int] = []
    results = executor.map(begun.append, range(1000), Budget())
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert list(executor.map(lambda n: n, range(5), Budget())) == list(range(5))
    assert len(begun) < 10


def test_an_idle_thread_holds_nothing_that_it_found(executor: LocalExecutor) -> None:
    class Large:
        pass

    found = list(executor.map(lambda _: Large(), range(1), Budget()))
    gone = weakref.ref(found[0])
    del found
    until = time.monotonic() + SECONDS
    while gone() is not None and time.monotonic() < until:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None


def test_an_error_of_a_task_holds_none_of_its_values(executor: LocalExecutor) -> None:
    """Whoever keeps the error keeps no arrays of the task."""

    class Large:
        pass

    seen: list[weakref.ref[Large]] = []

    def fail(_: int) -> None:
        large = Large()
        seen.append(weakref.ref(large))
        raise ValueError("of the task")

    with pytest.raises(ValueError, match="of the task") as told:
        list(executor.map(fail, range(1), Budget()))
    assert [one() for one in seen] == [None]
    assert told.traceback[-1].name == "fail"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_what_serves_every_query_lets_others_go_first() -> None:
    executor = LocalExecutor(1)

    def niceness(_: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    own = niceness(0)
    assert list(executor.map(niceness, [1], Budget())) == [max(own, NICENESS)]
    assert niceness(0) == own
    executor.close()
