"""How do threads start, wait and exclude each other? Through a seam that a test can drive.

`SystemThreads` is what a process uses. A test passes a scheduler with the same methods: it runs one
thread at a time, and every method here is a place at which it may go on with another one. So an
interleaving is a list of choices, which can be drawn, kept and played again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol

from narfi.core.errors import AppError, ErrorKind


class NoThreadError(AppError):
    """The system gives this process no more threads."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, name: str) -> None:
        super().__init__(
            f"thread {name} cannot be started: the system gives no more threads; raise the limit "
            "(ulimit -u, TasksMax of the unit, pids of the container)"
        )


class Lock(Protocol):
    """Excludes other threads while it is held; not reentrant."""

    def __enter__(self) -> object:
        """Wait for the lock and take it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        ...


class Condition(Lock, Protocol):
    """A lock whose holder can wait until another holder says that something changed."""

    def wait(self, timeout: float | None = None) -> bool:
        """Release, sleep until told or until `timeout` seconds passed, take it again."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait; the caller holds the lock."""
        ...


class Event(Protocol):
    """A flag that threads can wait for."""

    def set(self) -> None:
        """Raise the flag."""
        ...

    def clear(self) -> None:
        """Lower it."""
        ...

    def is_set(self) -> bool:
        """Whether it is up."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until it is up or `timeout` seconds passed; whether it is up."""
        ...


class Thread(Protocol):
    """A thread that was started."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        ...

    def is_alive(self) -> bool:
        """Whether it still runs."""
        ...


class Threads(Protocol):
    """Makes threads and what they wait for."""

    def lock(self) -> Lock:
        """A free lock."""
        ...

    def condition(self) -> Condition:
        """A condition with a lock of its own."""
        ...

    def event(self) -> Event:
        """A lowered flag."""
        ...

    def start(self, name: str, run: Callable[[], None]) -> Thread:
        """Run `run` in a thread that does not keep the process alive, or `NoThreadError`."""
        ...


class SystemThreads:
    """The threads of the process."""

    def lock(self) -> Lock:
        """A lock of the standard library."""
        return threading.Lock()

    def condition(self) -> Condition:
        """A condition of the standard library, not reentrant."""
        return threading.Condition(threading.Lock())

    def event(self) -> Event:
        """An event of the standard library."""
        return threading.Event()

    def start(self, name: str, run: Callable[[], None]) -> Thread:
        """A daemon thread."""
        thread = threading.Thread(target=run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise NoThreadError(name) from error
        return thread


SYSTEM_THREADS = SystemThreads()


def started_pool(threads: int, name: str) -> ThreadPoolExecutor:
    """A pool whose threads all run already: it fails at a start, or not for want of threads.

    Raises `NoThreadError`. A pool of the library starts each thread when work comes for it.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    all_there = threading.Event()
    try:
        for _ in range(threads):  # each waits, so the next one needs a thread of its own
            pool.submit(all_there.wait)
    except RuntimeError as error:
        pool.shutdown(wait=False, cancel_futures=True)
        raise NoThreadError(name) from error
    finally:
        all_there.set()
    return pool
