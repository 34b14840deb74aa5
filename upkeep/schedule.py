"""What is done to stored blocks from time to time? Deletes, retention, compaction, garbage."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from narfi.core.errors import AppError
from narfi.core.niceness import let_others_go_first
from narfi.core.threads import SYSTEM_THREADS, Thread

log = structlog.get_logger(__name__)

UPKEEP_DONE = Counter(
    "narfi_upkeep_items_total",
    "Entries deleted, blocks expired, dropped or merged away, folders removed.",
    ["task"],
)
UPKEEP_RUNS = Counter(
    "narfi_upkeep_runs_total", "Runs of an upkeep task, failed ones too.", ["task"]
)
UPKEEP_SECONDS = Counter("narfi_upkeep_seconds_total", "Time that upkeep took.", ["task"])
UPKEEP_SUCCESS = Gauge(
    "narfi_upkeep_last_success_timestamp_seconds", "When a task last ended well.", ["task"]
)
UPKEEP_FAILURES = Counter(
    "narfi_upkeep_failures_total", "Upkeep that failed and is tried again.", ["task"]
)


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of upkeep; `run` tells how many items it handled."""

    name: str
    run: Callable[[], int]


@dataclass(slots=True, kw_only=True)
class TaskState:
    """What became of a task so far in this process; written by the thread that runs it."""

    task: str
    runs: int = 0
    failures: int = 0
    last_success_ns: int | None = None
    last_error: str | None = None  # of the last run, when it failed


class Upkeep:
    """A thread that runs every task, one after another, each interval."""

    def __init__(
        self,
        name: str,
        tasks: tuple[Task, ...],
        interval_s: float,
        stopping: threading.Event | None = None,
        *,
        close: Callable[[], None] = lambda: None,
        niceness: int = 0,
    ) -> None:
        """`close` is called when it was stopped and no task runs any more.

        `niceness`: of its thread.
        """
        self._name, self._tasks, self._interval_s = name, tasks, interval_s
        self.states = tuple(TaskState(task=task.name) for task in tasks)
        self._close, self._niceness = close, niceness
        self._stopping = stopping or threading.Event()  # a long task may look at it
        self._running = threading.Lock()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, unless it has, or `NoThreadError`."""
        if self._thread is None:
            self._thread = SYSTEM_THREADS.start(self._name, self._loop)

    def ask_to_stop(self) -> None:
        """Begin no other task; returns at once."""
        self._stopping.set()

    def stop(self) -> None:
        """Finish the task under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._close()

    def run_once(self) -> None:
        """Run every task now; failures are logged and counted, and stop no other task."""
        with self._running:
            for task, state in zip(self._tasks, self.states, strict=True):
                if self._stopping.is_set():
                    return
                _run(task, state)

    def _loop(self) -> None:
        let_others_go_first(self._niceness)
        while not self._stopping.wait(self._interval_s):
            self.run_once()


def _run(task: Task, state: TaskState) -> None:
    began = time.perf_counter()
    try:
        done = task.run()
    except AppError as error:
        _failed(state, error.message)
        log.error("upkeep failed", task=task.name, error=error.message)
    except Exception as error:
        _failed(state, repr(error))
        log.error("upkeep failed", task=task.name, exc_info=error)
    else:
        state.last_success_ns, state.last_error = time.time_ns(), None
        UPKEEP_SUCCESS.labels(task.name).set(time.time())
        UPKEEP_DONE.labels(task.name).inc(done)
        if done:
            seconds = round(time.perf_counter() - began, 3)
            log.info("upkeep done", task=task.name, items=done, s=seconds)
    finally:
        state.runs += 1
        UPKEEP_RUNS.labels(task.name).inc()
        UPKEEP_SECONDS.labels(task.name).inc(time.perf_counter() - began)


def _failed(state: TaskState, error: str) -> None:
    UPKEEP_FAILURES.labels(state.task).inc()
    state.failures += 1
    state.last_error = error
