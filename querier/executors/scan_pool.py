"""Which scan processes are there? Started when they are first wanted, ended when they are idle.

A process is starting → idle ⇄ busy with one task → gone. One that ends by itself is a small fault:
whoever used it is told (`ProcessGoneError`), and another one is started when it is wanted again.
One lock guards who is what; it is never held while a process is started or waited for.
"""

import contextlib
import itertools
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

import structlog

from querier.budget import Memory, MemoryBusyError, Total
from querier.executors.affinity import Waiting, next_task, owner
from querier.executors.messages import Setup
from querier.executors.metrics import LOST_PROCESSES, OWNED_TASKS
from querier.executors.scan_worker import LOOK_S, ProcessGoneError, Wanted, Worker, start_workers

log = structlog.get_logger(__name__)

PAUSE_S = 30.0
"""After a start that failed."""
END_S = 1.0
"""From the end of the socket to that of an idle process; then it is killed."""


def _without(taken: Collection[int]) -> Iterator[int]:
    return (number for number in itertools.count() if number not in taken)


Start = Callable[[int, Setup], tuple[list[Worker], subprocess.Popen[bytes]]]


class ScanPool:
    """At most `count` scan processes; thread-safe."""

    def __init__(
        self,
        count: int,
        setup: Setup,
        memory: Memory | None = None,
        start: Start = start_workers,
        *,
        at_once: int = 1,
    ) -> None:
        """`memory` pays for what processes remember of blocks, while they are there.

        `at_once`: so many of them, one behind the other as they are started, share caches.
        """
        self.count, self._setup, self._start = count, setup, start
        self._at_once = at_once
        self._memory = memory or Total()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: list[Waiting] = []
        self._given: dict[Waiting, Worker] = {}
        self._starting: list[Worker] = []
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._first: list[subprocess.Popen[bytes]] = []  # of each start, to be waited for
        self._next_start_s = 0.0
        self._begins = self._closed = False

    def is_ready(self) -> bool:
        """Whether there is a process that takes tasks; those that are missing are started."""
        with self._lock:
            self._look_at_starting()
            there = len(self._idle) + len(self._busy)
            missing = self.count - there - len(self._starting)
            begins = missing > 0 and not self._begins and not self._closed
            begins = begins and time.monotonic() >= self._next_start_s
            self._begins |= begins
        if begins:
            self._begin(missing)
        return there > 0

    def _look_at_starting(self) -> None:
        for worker in list(self._starting):
            try:
                if worker.is_ready():
                    self._starting.remove(worker)
                    self._idle.append(worker)
                    self._give()
            except ProcessGoneError:
                self._starting.remove(worker)
                self._next_start_s = time.monotonic() + PAUSE_S
                self._kill(worker)
                log.warning("a scan process did not start; it is tried again later")

    def _begin(self, missing: int) -> None:
        found: Sequence[Worker] = ()
        needed = missing * self._setup.cache_bytes
        with contextlib.suppress(MemoryBusyError):
            self._memory.take(needed)
            try:
                found, first = self._start(missing, self._setup)
            except Exception as error:  # noqa: BLE001 - whatever the system refuses: no process
                self._memory.give_back(needed)
                log.warning("a scan process cannot be started", error=repr(error))
        with self._lock:
            self._begins = False
            if not found:
                self._next_start_s = time.monotonic() + PAUSE_S
                return
            self._first = [one for one in self._first if one.poll() is None] + [first]
            self._number(found)
            self._starting += found
            closed = self._closed
        if closed:
            self.close()

    def _number(self, found: Sequence[Worker]) -> None:
        """Which caches are theirs; one that is started again has the number of one that is gone."""
        taken = {worker.number for worker in (*self._starting, *self._idle, *self._busy)}
        left = itertools.count() if self._at_once > 1 else _without(taken)
        for first in range(0, len(found), self._at_once):
            number = next(left)
            for worker in found[first : first + self._at_once]:
                worker.number = number

    @contextlib.contextmanager
    def one(self, wanted: Wanted | None = None) -> Iterator[Worker | None]:
        """A process for a task, or None; one that was found gone does not come back.

        `wanted` waits its turn while all are busy, best for the one that has its block.
        """
        self.is_ready()
        with self._lock:
            worker = self._idle_one() if wanted is None else self._in_turn(wanted)
        try:
            yield worker
        except ProcessGoneError as error:
            if worker is not None:
                self._lose(worker, error)
            raise
        finally:
            if worker is not None:
                with self._lock:
                    if worker in self._busy:
                        self._busy.remove(worker)
                        self._idle.append(worker)
                    self._give()

    def _idle_one(self) -> Worker | None:
        if self._waiting or not self._idle or self._closed:
            return None
        worker = self._idle.pop()
        self._busy.add(worker)
        return worker

    def _in_turn(self, wanted: Wanted) -> Worker | None:
        """The lock is held, but while it waits."""
        mine = Waiting(wanted.block_id)
        self._waiting.append(mine)
        self._give()
        while mine not in self._given and self._busy and not self._closed and not wanted.is_over():
            self._changed.wait(LOOK_S)
        if mine not in self._given:
            self._waiting.remove(mine)
        return self._given.pop(mine, None)

    def _give(self) -> None:
        """Idle processes to those that wait; the lock is held."""
        there = {worker.number for worker in (*self._idle, *self._busy)}
        loads = Counter(worker.number for worker in self._busy)
        while self._waiting and self._idle and not self._closed:
            free = {worker.number: loads[worker.number] for worker in self._idle}
            found = next_task(self._waiting, there, free)
            if found is None:
                break
            place, number = found
            task = self._waiting.pop(place)
            for passed in self._waiting[:place]:
                passed.passed += 1
            worker = next(one for one in self._idle if one.number == number)
            self._idle.remove(worker)
            self._busy.add(worker)
            loads[number] += 1
            self._given[task] = worker
            if task.block_id:
                whose = "own" if owner(task.block_id, there) == number else "other"
                OWNED_TASKS.labels(whose).inc()
        self._changed.notify_all()

    def _lose(self, worker: Worker, error: ProcessGoneError) -> None:
        with self._lock:
            self._busy.discard(worker)
            closed = self._closed
            self._give()  # what waited for it
            for first in self._first:
                first.poll()
        self._kill(worker)
        if not closed:
            LOST_PROCESSES.inc()
            why = repr(error.__cause__)
            log.warning("a scan process ended while it had a task", pid=worker.pid, why=why)

    def _kill(self, worker: Worker) -> None:
        worker.kill()
        self._memory.give_back(self._setup.cache_bytes)

    def pids(self) -> list[int]:
        """Of the processes that are ready."""
        with self._lock:
            return [worker.pid for worker in (*self._idle, *self._busy)]

    def end_idle(self, idle_s: float) -> int:
        """End the processes when none had a task for so long; how many."""
        now_s = time.monotonic()
        with self._lock:
            self._look_at_starting()
            fresh = any(worker.used_s > now_s - idle_s for worker in self._idle)
            if self._busy or self._starting or fresh:
                return 0
            ended, self._idle = self._idle, []
        self._end(ended)
        return len(ended)

    def close(self) -> None:
        """End all of them, once no task runs any more; none is started again."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()
            ended = [*self._starting, *self._idle]
            self._starting, self._idle = [], []
        self._end(ended)

    def _end(self, ended: Sequence[Worker]) -> None:
        for worker in ended:
            worker.ask_to_end()
        until_s = time.monotonic() + END_S
        for worker in ended:
            worker.wait(max(0.0, until_s - time.monotonic()))
            self._kill(worker)
        for first in list(self._first):
            with contextlib.suppress(subprocess.TimeoutExpired):
                first.wait(END_S)
