"""One delivery after the other; what raises is told; nothing begins once it was asked to stop."""

import threading
import time
from collections.abc import Callable

import pytest

from narfi.core.threads import SYSTEM_THREADS
from ruler.courier import Courier


class Jobs:
    """Numbers that wait; odd ones raise."""

    def __init__(self) -> None:
        self.courier: Courier[int] = Courier("jobs", SYSTEM_THREADS, self)
        self.waiting: list[int] = []
        self.done: list[int] = []
        self.told: list[tuple[int, str]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def take(self) -> int | None:
        """The first."""
        return self.waiting.pop(0) if self.waiting else None

    def sleep_s(self) -> float | None:
        """Until somebody says that something changed."""
        return None

    def deliver(self, job: int) -> None:
        """Odd ones cannot be delivered."""
        self.may_go_on.wait(30)
        if job % 2:
            raise ValueError(f"{job} is odd")
        self.done.append(job)

    def broke(self, job: int, error: str) -> None:
        """Kept."""
        self.told.append((job, error))

    def add(self, *jobs: int) -> None:
        """More."""
        with self.courier.changed:
            self.waiting += jobs
            self.courier.changed.notify_all()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


def wait_for(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_jobs_are_delivered_in_order_past_those_that_raise(jobs: Jobs) -> None:
    jobs.courier.start()
    jobs.add(2, 3, 4)
    wait_for(lambda: jobs.done == [2, 4])
    assert jobs.told == [(3, "ValueError('3 is odd')")]
    jobs.add(6)
    wait_for(lambda: jobs.done == [2, 4, 6])
    jobs.courier.stop(30)


def test_no_delivery_begins_once_it_was_asked_to_stop(jobs: Jobs) -> None:
    jobs.may_go_on.clear()
    jobs.courier.start()
    jobs.add(2, 4)
    wait_for(lambda: jobs.waiting == [4])
    jobs.courier.ask_to_stop()
    jobs.may_go_on.set()
    jobs.courier.stop(30)
    assert (jobs.done, jobs.waiting) == ([2], [4])


def test_one_that_never_began_can_be_stopped(jobs: Jobs) -> None:
    jobs.courier.stop(0.1)
    assert jobs.courier.is_stopping
