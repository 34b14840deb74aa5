"""Where do leaf tasks run? On a pool of threads in this process (kernels release the GIL)."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from narfi.core.threads import started_pool

T = TypeVar("T")
R = TypeVar("R")


class LocalExecutor:
    """Runs leaf tasks on `threads` threads; results come in the order of the tasks."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = started_pool(threads, "leaf")

    def map(self, task: Callable[[T], R], specs: Iterable[T]) -> Iterator[R]:
        """Results in order; at most `threads + 1` tasks are under way, so that a caller who stops
        iterating stops the work (early stop for `limit`)."""
        waiting: list[Future[R]] = []
        iterator = iter(specs)
        try:
            for spec in iterator:
                waiting.append(self._pool.submit(task, spec))
                if len(waiting) > self._threads:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """Wait for running tasks and stop the threads."""
        self._pool.shutdown()
