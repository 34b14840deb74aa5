"""In which order do threads run? As a test says: one at a time, another one chosen at each seam.

`Schedule` has the methods of `narfi.core.threads.Threads`. Its threads are real, but only the one
that holds the baton runs. It hands the baton back at every lock, condition, event, join and
`pause`; `choose(n)` then names which of `n` threads that can go on gets it. So a list of choices is
an interleaving. A wait with a time-out ends by time only when no thread could go on otherwise.
"""

import random
import threading
from collections.abc import Callable
from types import TracebackType

Ready = Callable[[], bool]


def drawn(seed: int) -> Callable[[int], int]:
    """Choices by a seed: every interleaving has a chance, and the seed plays it again."""
    return random.Random(seed).randrange


def bursts(seed: int) -> Callable[[int], int]:
    """As `drawn`, but a thread goes on for a while: much happens between two steps of another."""
    chance, last = random.Random(seed), 0
    switch = chance.choice((0.02, 0.1, 0.5))

    def choose(able: int) -> int:
        nonlocal last
        if last >= able or chance.random() < switch:
            last = chance.randrange(able)
        return last

    return choose


class DeadlockError(AssertionError):
    """Every thread waits for another one."""


class EndlessError(AssertionError):
    """The threads went on and on."""


class _Killed(BaseException):
    """Ends a thread of a schedule that is over."""


class ScheduledThread:
    """One thread of a schedule."""

    def __init__(self, schedule: "Schedule", name: str, run: Callable[[], None]) -> None:
        self.name, self.done = name, False
        self.error: BaseException | None = None
        self.ready: Ready = lambda: True
        self.timed, self.timed_out = False, False
        self.baton = threading.Semaphore(0)
        self._schedule, self._run = schedule, run
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def _main(self) -> None:
        self.baton.acquire()
        try:
            if not self._schedule.over:
                self._run()
        except _Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - `run` raises it
            self.error = error
        self.done = True
        self._schedule.returned.release()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._schedule.wait(lambda: self.done, timed=timeout is not None)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not self.done


class ScheduledLock:
    """A lock whose taking is a seam."""

    def __init__(self, schedule: "Schedule") -> None:
        self._schedule = schedule
        self.holder: ScheduledThread | None = None
        self.held = False

    def __enter__(self) -> "ScheduledLock":
        self._schedule.wait(lambda: not self.held)
        self.held = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held = False


class ScheduledCondition(ScheduledLock):
    """A condition whose waits are seams."""

    def __init__(self, schedule: "Schedule") -> None:
        super().__init__(schedule)
        self._waiting: list[list[bool]] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Release, wait to be told, take again."""
        assert self.held
        told = [False]
        self._waiting.append(told)
        self.held = False
        if timeout is None:
            self._schedule.wait(lambda: told[0] and not self.held)
        else:
            self._schedule.wait(lambda: told[0], timed=True)
            self._schedule.wait(lambda: not self.held)
        self.held = True
        return told[0]

    def notify_all(self) -> None:
        """Tell all who wait."""
        assert self.held
        for told in self._waiting:
            told[0] = True
        self._waiting.clear()


class ScheduledEvent:
    """An event whose waits are seams."""

    def __init__(self, schedule: "Schedule") -> None:
        self._schedule, self._up = schedule, False

    def set(self) -> None:
        """Raise."""
        self._schedule.wait(lambda: True)
        self._up = True

    def clear(self) -> None:
        """Lower."""
        self._up = False

    def is_set(self) -> bool:
        """Whether it is up."""
        return self._up

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is up, or for a time."""
        self._schedule.wait(lambda: self._up, timed=timeout is not None)
        return self._up


class Schedule:
    """Threads that run one at a time; used by the thread that calls `run`."""

    def __init__(self, choose: Callable[[int], int], most_steps: int = 20_000) -> None:
        self._choose, self._most_steps = choose, most_steps
        self._threads: list[ScheduledThread] = []
        self._current: ScheduledThread | None = None
        self.returned = threading.Semaphore(0)
        self.over = False
        self.steps = 0

    def lock(self) -> ScheduledLock:
        """A free lock."""
        return ScheduledLock(self)

    def condition(self) -> ScheduledCondition:
        """A condition."""
        return ScheduledCondition(self)

    def event(self) -> ScheduledEvent:
        """An event."""
        return ScheduledEvent(self)

    def start(self, name: str, run: Callable[[], None]) -> ScheduledThread:
        """A thread that gets the baton some time later."""
        thread = ScheduledThread(self, name, run)
        self._threads.append(thread)
        return thread

    def pause(self) -> None:
        """A seam without a condition, such as a call of the disk."""
        self.wait(lambda: True)

    def wait(self, ready: Ready, *, timed: bool = False) -> None:
        """Give the baton back until `ready`; the thread of the test itself never waits."""
        thread = self._current
        if thread is None:
            assert ready() or timed, "the thread of the test itself would wait for ever"
            return
        thread.ready, thread.timed, thread.timed_out = ready, timed, False
        self.returned.release()
        thread.baton.acquire()
        if self.over:
            raise _Killed

    def run(self) -> None:
        """Run all threads to their end; raises the first error of one, or `DeadlockError`."""
        try:
            while waiting := [t for t in self._threads if not t.done]:
                self.steps += 1
                if self.steps > self._most_steps:
                    raise EndlessError([t.name for t in waiting])
                able = [t for t in waiting if t.ready()]
                if not able:
                    able = [t for t in waiting if t.timed]
                if not able:
                    raise DeadlockError([t.name for t in waiting])
                self._pass_to(able[self._choose(len(able))])
            for thread in self._threads:
                if thread.error is not None:
                    raise thread.error
        finally:
            self._end()

    def _pass_to(self, thread: ScheduledThread) -> None:
        self._current = thread
        thread.baton.release()
        self.returned.acquire()
        self._current = None

    def _end(self) -> None:
        """Let threads that still wait go, so that none is left behind."""
        self.over = True
        for thread in self._threads:
            while not thread.done:
                self._pass_to(thread)
