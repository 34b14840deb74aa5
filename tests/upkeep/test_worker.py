"""Is the failure of a job its own, is it told, and is the job tried again until it is done?"""

from collections.abc import Callable, Mapping

import pytest

from narfi.core.errors import AppError
from storage.catalog.base import CatalogConflictError, CatalogError
from storage.catalog.jobs import FIRST_BACKOFF_NS, LAST_BACKOFF_NS, Job, Jobs
from storage.objects.base import ObjectError
from storage.objects.faulty import Faults
from tests.storage.stored import DAY, HOUR, TENANT, Stored
from upkeep.worker import (
    HELD_NS,
    JOBS_FAILED,
    MAX_FAILED,
    Kind,
    OutOfDateError,
    Round,
    Work,
    Worker,
)


class Counting(Jobs):
    """Jobs whose transactions are steps of `Faults`."""

    faults = Faults()

    def take(self, job: Job, holder: str, for_ns: int) -> Job | None:
        """Commit, or fail."""
        return self.faults.step("take", lambda: super(Counting, self).take(job, holder, for_ns))

    def finish(self, job: Job) -> None:
        """Commit, or fail."""
        self.faults.step("finish", lambda: super(Counting, self).finish(job))

    def fail(self, job: Job, error: str) -> None:
        """Commit, or fail."""
        self.faults.step("fail", lambda: super(Counting, self).fail(job, error))


def worker(stored: Stored, holder: str = "me", jobs: Jobs | None = None) -> Worker:
    """A worker of a process."""
    return Worker(jobs or stored.jobs, stored.catalog, stored.clock, holder)


def work(*blocks: str, name: str = "") -> Work:
    """A merge of these blocks."""
    return Work(Kind.MERGE, TENANT, blocks, name)


def one(stored: Stored, number: int = 0) -> str:
    """A visible block."""
    return stored.add([("a", DAY + number, b"line", {})]).block_id


def fails(error: Exception | None = None) -> Callable[[], int]:
    """An act that raises."""

    def act() -> int:
        raise error or ObjectError("the disk is broken")

    return act


def notes(done: list[str], name: str) -> Callable[[], int]:
    """An act that adds a name."""

    def act() -> int:
        done.append(name)
        return 1

    return act


def merge(worker: Worker, acts: Mapping[Work, Callable[[], int]]) -> list[int]:
    """A round of merges; what each gave, or the first error."""
    with worker.round(Kind.MERGE) as this:
        return [this.do(*one) for one in acts.items()]


def failed(stored: Stored) -> list[tuple[str, int]]:
    """(error, attempts) of what failed."""
    return [(job.error, job.attempts) for job in stored.jobs.all() if job.attempts]


def test_a_failure_is_told_at_the_end_and_stops_no_other_job(stored: Stored) -> None:
    names = [one(stored, k) for k in range(4)]
    done: list[str] = []

    def act(name: str) -> Callable[[], int]:
        return fails() if name == names[1] else notes(done, name)

    with pytest.raises(ObjectError, match="broken"):
        merge(worker(stored), {work(name): act(name) for name in names})
    assert done == [names[0], names[2], names[3]]
    assert failed(stored) == [("the disk is broken", 1)]
    assert JOBS_FAILED.labels(Kind.MERGE)._value.get() == 1


def test_a_failed_job_waits_longer_each_time_and_others_do_not(stored: Stored) -> None:
    bad, good = one(stored, 1), one(stored, 2)
    tries, pause = 0, FIRST_BACKOFF_NS

    def act() -> int:
        nonlocal tries
        tries += 1
        raise ObjectError("no")

    for attempt in range(10):
        with worker(stored).round(Kind.MERGE) as this:
            assert this.due() == ([work(bad)] if attempt else [])
        with pytest.raises(ObjectError):
            merge(worker(stored), {work(bad): act})
        stored.clock.advance(min(pause, LAST_BACKOFF_NS) - 1)
        with worker(stored).round(Kind.MERGE) as this:
            assert this.busy == {bad}
            assert this.due() == []
            assert this.do(work(bad), act) == 0
            assert this.do(work(good), lambda: 1) == 1
        stored.clock.advance(1)
        pause *= 2
    assert tries == 10
    with worker(stored).round(Kind.MERGE) as this:
        assert this.do(this.due()[0], lambda: 3) == 3
    assert stored.jobs.all() == []
    assert JOBS_FAILED.labels(Kind.MERGE)._value.get() == 0


def test_a_new_process_tries_at_once(stored: Stored) -> None:
    name = one(stored)
    with pytest.raises(ObjectError), worker(stored).round(Kind.MERGE) as this:
        this.do(work(name), fails())
    new = worker(stored, "new")
    new.begin()
    with new.round(Kind.MERGE) as this:
        assert this.do(work(name), lambda: 1) == 1


def test_a_job_whose_block_went_is_out_of_date_and_no_failure(stored: Stored) -> None:
    name = one(stored)

    def lose_the_block() -> int:
        stored.catalog.replace([name], [])
        raise CatalogConflictError("not visible any more")

    with worker(stored).round(Kind.MERGE) as this:
        assert this.do(work(name), lose_the_block) == 0
        assert this.do(work(), fails(OutOfDateError("planned again"))) == 0
        assert not this.done
    assert stored.jobs.all() == []


def test_a_conflict_about_something_else_is_a_failure(stored: Stored) -> None:
    name = one(stored)
    with pytest.raises(CatalogConflictError), worker(stored).round(Kind.MERGE) as this:
        this.do(work(name), fails(CatalogConflictError("it took too long and was given up")))
    assert failed(stored) == [("it took too long and was given up", 1)]


def test_a_failed_job_is_forgotten_when_its_blocks_are_gone(stored: Stored) -> None:
    gone, stays = one(stored, 1), one(stored, 2)
    with pytest.raises(ObjectError):
        merge(worker(stored), {work(gone): fails(), work(stays): fails()})
    stored.catalog.replace([gone], [])
    with worker(stored).round(Kind.MERGE):
        pass
    assert [job.blocks for job in stored.jobs.all()] == [(stays,)]
    with worker(stored).round(Kind.EXPIRE):
        pass
    assert len(stored.jobs.all()) == 1, "jobs of another kind are not its business"


def test_two_workers_share_the_jobs_and_no_block(stored: Stored) -> None:
    first, second = one(stored, 1), one(stored, 2)
    other = Worker(stored.jobs, stored.catalog, stored.clock, "you")

    def meanwhile() -> int:
        with other.round(Kind.EXPIRE) as that:
            assert that.busy == {first}
            assert that.do(Work(Kind.EXPIRE, TENANT, (first,)), lambda: 1) == 0
            assert that.do(Work(Kind.EXPIRE, TENANT, (second,)), lambda: 1) == 1
        with other.round(Kind.MERGE) as that:
            assert that.do(work(first), lambda: 1) == 0
        return 5

    with worker(stored).round(Kind.MERGE) as this:
        assert this.do(work(first), meanwhile) == 5
    assert stored.jobs.all() == []


def test_when_everything_fails_the_rest_is_left_for_the_next_round(stored: Stored) -> None:
    names = [f"block {k}" for k in range(MAX_FAILED + 5)]
    for left in (MAX_FAILED, 5, 0):
        tried = 0

        def act() -> int:
            nonlocal tried
            tried += 1
            raise ObjectError("away")

        try:
            with worker(stored).round(Kind.REMOVE) as this:
                for name in names:
                    this.attempt(Work(Kind.REMOVE, TENANT, (name,)), act)
                assert this.gives_up == (left == MAX_FAILED)
        except ObjectError:
            assert left
        assert tried == left


@pytest.mark.parametrize("after", [False, True], ids=["fails", "answer is lost"])
@pytest.mark.parametrize("at", range(6))
def test_a_fault_at_each_transaction_over_jobs(stored: Stored, at: int, *, after: bool) -> None:
    jobs = Counting(stored.catalog.database, stored.clock)
    names = [one(stored, k) for k in range(3)]
    done: set[str] = set()

    def act(name: str, *, first: bool) -> Callable[[], int]:
        def do() -> int:
            if first and name == names[1]:
                raise ObjectError("once")
            done.add(name)
            return 1

        return do

    jobs.faults = Faults(at, after=after)
    with pytest.raises(AppError):
        merge(worker(stored, "me", jobs), {work(name): act(name, first=True) for name in names})
    assert done >= {names[0], names[2]} - ({names[at // 2]} if at in (0, 4) else set())
    stored.clock.advance(HOUR)
    with worker(stored, "me", jobs).round(Kind.MERGE) as this:
        for name in names:
            if name not in done:
                this.do(work(name), act(name, first=False))
    assert done == set(names)
    for name in names:
        stored.catalog.replace([name], [])
    with worker(stored, "me", jobs).round(Kind.MERGE):
        pass
    assert stored.jobs.all() == []


def test_a_fault_of_the_catalog_in_the_middle_is_a_failure_of_that_job(stored: Stored) -> None:
    name = one(stored)
    done: list[str] = []
    acts = {
        work(name): fails(CatalogError("no")),
        work(name, name="x"): notes(done, "other"),
    }
    with pytest.raises(CatalogError, match="no"):
        merge(worker(stored), acts)
    assert done == ["other"]
    assert failed(stored) == [("no", 1)]


def test_equal_work_has_one_name() -> None:
    assert work("a", "b").job().job_id == work("b", "a").job().job_id
    others = [work("a"), work("a", "b", name="x"), Work(Kind.EXPIRE, TENANT, ("a", "b"))]
    assert len({one.job().job_id for one in [work("a", "b"), *others]}) == 4
    assert all(len(one.job().job_id) <= 64 for one in others)


def test_a_round_does_jobs_of_its_kind_only(stored: Stored) -> None:
    with worker(stored).round(Kind.DELETE) as this:
        assert isinstance(this, Round)
        with pytest.raises(AssertionError):
            this.do(work("a"), lambda: 1)


def test_a_long_job_is_renewed_while_it_runs(stored: Stored) -> None:
    """Another process takes neither the job nor a job over its blocks, however long it takes."""
    me, you = worker(stored), worker(stored, "you")
    block, done = one(stored), list[str]()

    def act() -> int:
        for _ in range(5):
            stored.clock.advance(HELD_NS - 1)
            assert me.renew() == 1
            assert merge(you, {work(block): notes(done, "you")}) == [0]
        return 1

    assert me.renew() == 0
    assert merge(me, {work(block): act}) == [1]
    assert me.renew() == 0, "it is done"
    assert done == []
    assert stored.jobs.all() == []


def test_a_job_that_failed_is_not_renewed(stored: Stored) -> None:
    me = worker(stored)
    with pytest.raises(ObjectError):
        merge(me, {work(one(stored)): fails()})
    assert me.renew() == 0
    assert failed(stored) == [("the disk is broken", 1)]


def test_who_was_not_heard_of_loses_his_job(stored: Stored) -> None:
    me, you = worker(stored), worker(stored, "you")
    block, done = one(stored), list[str]()

    def act() -> int:
        stored.clock.advance(HELD_NS)
        assert merge(you, {work(block): notes(done, "you")}) == [1]
        assert me.renew() == 0
        return 1

    merge(me, {work(block): act})
    assert done == ["you"]
