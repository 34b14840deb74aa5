"""Requests that have just begun go first: others wait a little, and never half of the time."""

import threading
import time
from concurrent.futures import Future

from narfi.core.limits import Limits
from querier.budget import Budget
from querier.executors.fair import FairPool
from querier.precedence import FIRST_S, WAIT_S, Precedence, Turn


def waited_s(turn: Turn) -> float:
    """How long a look at the budget takes."""
    began = time.monotonic()
    turn.give_way()
    return time.monotonic() - began


def test_others_wait_until_the_first_has_ended() -> None:
    order = Precedence()
    mine, small = Turn(order), Turn(order)
    assert waited_s(mine) < WAIT_S / 2
    ended = threading.Event()
    with small.first():
        timer = threading.Timer(WAIT_S / 5, ended.set)
        timer.start()
        assert waited_s(small) < WAIT_S / 2, "it waits for itself"

    def runs() -> None:
        with small.first():
            ended.wait()

    ended.clear()
    other = threading.Thread(target=runs)
    other.start()
    while not order._until_s:
        time.sleep(0.001)
    threading.Timer(WAIT_S / 5, ended.set).start()
    assert waited_s(mine) > WAIT_S / 10
    other.join()
    assert waited_s(mine) < WAIT_S / 2


def test_a_wait_is_short_and_is_followed_by_work_as_long() -> None:
    order = Precedence()
    mine, small = Turn(order), Turn(order)
    with small.first():
        first = waited_s(mine)
        assert first >= WAIT_S * 0.9
        assert mine.rests_until_s >= time.monotonic() + first / 2
        assert waited_s(mine) < WAIT_S / 2, "half of the time at most"


def test_nothing_goes_first_for_long() -> None:
    now = [100.0]
    order = Precedence(lambda: now[0])
    mine, small = Turn(order), Turn(order)
    with small.first():
        now[0] += FIRST_S
        mine.give_way()
        assert mine.rests_until_s == 100 + FIRST_S, "it looked, and did not wait"


def test_a_tenant_of_which_something_runs_has_no_second_request_that_goes_first() -> None:
    order, pool = Precedence(), FairPool(4, 100)
    release, seen = threading.Event(), dict[str, bool]()

    def submit(tenant: str, name: str, *, blocks: bool = False) -> Future[None]:
        turn = Turn(order)
        budget = Budget(turn=turn)
        budget.begin(Limits())

        def work() -> None:
            seen[name] = turn in order._until_s
            if blocks:
                release.wait()

        return pool.submit(tenant, budget, work)

    try:
        running = submit("a", "heavy", blocks=True)
        while not seen:
            time.sleep(0.001)
        submit("a", "second").result(60)
        submit("b", "neighbour").result(60)
        release.set()
        running.result(60)
    finally:
        release.set()
        pool.close()
    assert seen == {"heavy": True, "second": False, "neighbour": True}
