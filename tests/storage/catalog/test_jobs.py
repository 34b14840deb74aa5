"""Is a job done by one worker at a time, and does it come back when that one fails or dies?"""

import threading

import pytest

from narfi.core.clock import ManualClock
from storage.catalog.base import CatalogConflictError
from storage.catalog.jobs import FIRST_BACKOFF_NS, LAST_BACKOFF_NS, Job, Jobs
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT

MINUTE = 60 * 10**9


def job(name: str, *blocks: str) -> Job:
    """A job that nobody holds."""
    return Job(job_id=name, kind="merge", tenant=TENANT, blocks=blocks)


@pytest.fixture
def jobs(opened: Opener, clock: ManualClock) -> Jobs:
    """No jobs."""
    return Jobs(opened().database, clock)


def test_a_job_is_taken_once_and_finished(jobs: Jobs) -> None:
    mine = jobs.take(job("a", "x", "y"), "me", MINUTE)
    assert mine is not None
    assert (mine.job_id, mine.epoch, mine.blocks) == ("a", 1, ("x", "y"))
    assert jobs.take(job("a", "x", "y"), "you", MINUTE) is None
    assert jobs.all() == [mine]
    jobs.finish(mine)
    assert jobs.all() == []
    jobs.finish(mine)  # as after a commit of which nobody heard
    assert jobs.all() == []


def test_two_workers_are_never_at_one_block(jobs: Jobs) -> None:
    first = jobs.take(job("a", "x", "y"), "me", MINUTE)
    assert first is not None
    assert jobs.take(job("b", "y", "z"), "you", MINUTE) is None
    other = jobs.take(job("c", "z"), "you", MINUTE)
    assert other is not None
    assert jobs.take(job("d", "x"), "third", MINUTE) is None
    jobs.fail(first, "no")
    assert jobs.take(job("d", "x"), "third", MINUTE) is not None, "a failed job holds no block"


def test_what_a_holder_took_before_is_given_up_when_it_goes_on(jobs: Jobs) -> None:
    assert jobs.take(job("a", "x"), "me", MINUTE) is not None
    again = jobs.take(job("a", "x"), "me", MINUTE)
    assert again is not None
    assert again.epoch == 2
    assert jobs.take(job("b", "x"), "me", MINUTE) is not None


def test_a_hold_that_ran_out_goes_to_another_and_fences_the_first(
    jobs: Jobs, clock: ManualClock
) -> None:
    first = jobs.take(job("a", "x"), "me", MINUTE)
    assert first is not None
    clock.advance(MINUTE - 1)
    assert jobs.take(job("a", "x"), "you", MINUTE) is None
    assert jobs.take(job("b", "x"), "you", MINUTE) is None
    clock.advance(1)
    second = jobs.take(job("a", "x"), "you", MINUTE)
    assert second is not None
    assert second.epoch == 2
    with pytest.raises(CatalogConflictError):
        jobs.finish(first)
    with pytest.raises(CatalogConflictError):
        jobs.fail(first, "late")
    jobs.finish(second)


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not taken"])
def test_a_failed_job_waits_longer_each_time(
    jobs: Jobs, clock: ManualClock, *, taken: bool
) -> None:
    pause = FIRST_BACKOFF_NS
    for attempt in range(12):
        held = jobs.take(job("a"), "me", MINUTE) if taken else job("a")
        assert held is not None
        assert held.attempts == (attempt if taken else 0)
        jobs.fail(held, "a block is damaged")
        clock.advance(min(pause, LAST_BACKOFF_NS) - 1)
        assert jobs.take(job("a"), "me", MINUTE) is None
        clock.advance(1)
        pause *= 2
    (left,) = jobs.all()
    assert (left.attempts, left.error) == (12, "a block is damaged")
    assert left.not_before_ns == clock.now_ns()
    jobs.withdraw(["a"])
    assert jobs.all() == []


def test_a_new_process_that_is_alone_tries_everything_at_once(jobs: Jobs) -> None:
    failed = jobs.take(job("a", "x"), "dead", MINUTE)
    assert failed is not None
    jobs.fail(failed, "no")
    assert jobs.take(job("b", "y"), "dead", MINUTE) is not None
    assert jobs.take(job("a", "x"), "me", MINUTE) is None
    assert jobs.take(job("b", "y"), "me", MINUTE) is None
    jobs.begin("me")
    again = jobs.take(job("a", "x"), "me", MINUTE)
    assert again is not None
    assert again.attempts == 1
    assert jobs.take(job("b", "y"), "me", MINUTE) is not None


def test_many_workers_take_each_job_once(opened: Opener, clock: ManualClock) -> None:
    for holder in ("w0", "w1", "w2", "w3"):
        Jobs(opened().database, clock).begin(holder)
    taken: list[str] = []
    ready = threading.Barrier(4)

    def work(name: str) -> None:
        mine = Jobs(opened().database, clock)
        ready.wait()
        for number in range(20):
            if mine.take(job(f"{number:02d} of {name}", f"block {number}"), name, 20 * MINUTE):
                taken.append(str(number))  # never finished: the next one is another block's

    threads = [threading.Thread(target=work, args=(f"w{k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(str(number) for number in range(20))


def test_a_hold_that_is_renewed_does_not_run_out(jobs: Jobs, clock: ManualClock) -> None:
    mine = jobs.take(job("a", "x"), "me", MINUTE)
    assert mine is not None
    for _ in range(5):
        clock.advance(MINUTE - 1)
        assert jobs.take(job("a", "x"), "you", MINUTE) is None
        assert jobs.renew(mine, MINUTE)
    clock.advance(MINUTE)
    theirs = jobs.take(job("a", "x"), "you", MINUTE)
    assert theirs is not None
    assert not jobs.renew(mine, MINUTE), "who was away too long gets nothing back"
    jobs.finish(theirs)
    assert not jobs.renew(theirs, MINUTE)
