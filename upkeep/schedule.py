"""What is done to stored blocks from time to time? Deletes, retention, compaction, garbage."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter, Gauge

from narfi.core.errors import AppError
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


class Upkeep:
    """A thread that runs every task, one after another, each interval."""

    def __init__(self, name: str, tasks: tuple[Task, ...], interval_s: float) -> None:
        self._name, self._tasks, self._interval_s = name, tasks, interval_s
        self._stopping = threading.Event()
        self._running = threading.Lock()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, or `NoThreadError`."""
        self._thread = SYSTEM_THREADS.start(self._name, self._loop)

    def ask_to_stop(self) -> None:
        """Begin no other task; returns at once."""
        self._stopping.set()

    def stop(self) -> None:
        """Finish the task under way."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def run_once(self) -> None:
        """Run every task now; failures are logged and counted, and stop no other task."""
        with self._running:
            for task in self._tasks:
                if self._stopping.is_set():
                    return
                _run(task)

    def _loop(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.run_once()


def _run(task: Task) -> None:
    began = time.perf_counter()
    try:
        done = task.run()
    except AppError as error:
        UPKEEP_FAILURES.labels(task.name).inc()
        log.error("upkeep failed", task=task.name, error=error.message)
    except Exception as error:
        UPKEEP_FAILURES.labels(task.name).inc()
        log.error("upkeep failed", task=task.name, exc_info=error)
    else:
        UPKEEP_SUCCESS.labels(task.name).set(time.time())
        UPKEEP_DONE.labels(task.name).inc(done)
        if done:
            seconds = round(time.perf_counter() - began, 3)
            log.info("upkeep done", task=task.name, items=done, s=seconds)
    finally:
        UPKEEP_RUNS.labels(task.name).inc()
        UPKEEP_SECONDS.labels(task.name).inc(time.perf_counter() - began)
