"""What is done to stored blocks from time to time? Deletes, retention, compaction, orphans."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

log = structlog.get_logger(__name__)

UPKEEP_DONE = Counter(
    "narfi_upkeep_items_total",
    "Entries deleted, blocks expired, merged away, folders removed.",
    ["task"],
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

    def __init__(self, tasks: tuple[Task, ...], interval_s: float) -> None:
        self._tasks, self._interval_s = tasks, interval_s
        self._stopping = threading.Event()
        self._running = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the task under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_once(self) -> None:
        """Run every task now; failures are logged and counted."""
        with self._running:
            for task in self._tasks:
                if self._stopping.is_set():
                    return
                try:
                    done = task.run()
                except Exception as error:
                    UPKEEP_FAILURES.labels(task.name).inc()
                    log.error("upkeep failed", task=task.name, exc_info=error)
                    continue
                if done:
                    UPKEEP_DONE.labels(task.name).inc(done)
                    log.info("upkeep done", task=task.name, items=done)

    def _loop(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.run_once()
