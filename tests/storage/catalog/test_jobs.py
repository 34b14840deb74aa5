"""Is a job done by one worker at a time, and does it come back when that one fails or dies?"""

import threading

import pytest

from narfi.core.clock import ManualClock
from storage.catalog.base import CatalogConflictError
from storage.catalog.jobs import FIRST_BACKOFF_NS, LAST_BACKOFF_NS, Job, Jobs
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT

MINUTE = 60 * 10**9


def job(name: str, kind: str = "compaction") -> Job:
    """A job that nobody holds."""
    return Job(job_id=name, kind=kind, tenant=TENANT, payload='{"blocks":["a"]}')


@pytest.fixture
def jobs(opened: Opener, clock: ManualClock) -> Jobs:
    """No jobs."""
    return Jobs(opened().database, clock)


def test_a_job_is_claimed_once_and_finished(jobs: Jobs) -> None:
    assert jobs.add(job("a"))
    assert not jobs.add(job("a")), "the same work is not offered twice"
    mine = jobs.claim("compaction", "me", MINUTE)
    assert mine is not None
    assert (mine.job_id, mine.epoch, mine.payload) == ("a", 1, '{"blocks":["a"]}')
    assert jobs.claim("compaction", "you", MINUTE) is None
    assert jobs.claim("delete", "you", MINUTE) is None
    jobs.finish(mine)
    assert jobs.all() == []
    with pytest.raises(CatalogConflictError, match="not held any more"):
        jobs.finish(mine)


def test_a_claim_that_ran_out_goes_to_another_and_fences_the_first(
    jobs: Jobs, clock: ManualClock
) -> None:
    jobs.add(job("a"))
    first = jobs.claim("compaction", "me", MINUTE)
    assert first is not None
    clock.advance(MINUTE - 1)
    jobs.renew(first, MINUTE)
    clock.advance(MINUTE - 1)
    assert jobs.claim("compaction", "you", MINUTE) is None
    clock.advance(1)
    second = jobs.claim("compaction", "you", MINUTE)
    assert second is not None
    assert second.epoch == 2
    with pytest.raises(CatalogConflictError):
        jobs.finish(first)
    with pytest.raises(CatalogConflictError):
        jobs.renew(first, MINUTE)
    with pytest.raises(CatalogConflictError):
        jobs.fail(first, "late")
    jobs.finish(second)


def test_a_failed_job_waits_longer_each_time(jobs: Jobs, clock: ManualClock) -> None:
    jobs.add(job("a"))
    pause = FIRST_BACKOFF_NS
    for attempt in range(12):
        held = jobs.claim("compaction", "me", MINUTE)
        assert held is not None
        assert held.attempts == attempt
        jobs.fail(held, "a block is damaged")
        clock.advance(min(pause, LAST_BACKOFF_NS) - 1)
        assert jobs.claim("compaction", "me", MINUTE) is None
        clock.advance(1)
        pause *= 2
    (left,) = jobs.all()
    assert (left.attempts, left.error) == (12, "a block is damaged")


def test_many_workers_take_each_job_once(opened: Opener, clock: ManualClock) -> None:
    offered = Jobs(opened().database, clock)
    for number in range(40):
        offered.add(job(f"{number:02d}"))
    taken: list[str] = []

    def work(name: str) -> None:
        mine = Jobs(opened().database, clock)
        while (held := mine.claim("compaction", name, MINUTE)) is not None:
            taken.append(held.job_id)
            mine.finish(held)

    threads = [threading.Thread(target=work, args=(str(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [f"{number:02d}" for number in range(40)]
