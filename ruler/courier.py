"""Who carries what waits to a receiver? A thread of its own, which stops between two deliveries.

What waits, and in which order, is its owner's affair; the owner changes it under the lock and says
so. A delivery that raises is told to the owner, and the thread goes on.
"""

from typing import Generic, Protocol, TypeVar

from narfi.core.threads import Condition, Thread, Threads

J = TypeVar("J")

STOP_S = 5.0
"""How long a server that stops waits for deliveries under way."""


class Deliveries(Protocol[J]):
    """What waits."""

    def take(self) -> J | None:
        """What is to be delivered now; None: nothing yet. The courier holds the lock."""
        ...

    def sleep_s(self) -> float | None:
        """How long to wait for a change before asking again; None: any time. As `take`."""
        ...

    def deliver(self, job: J) -> None:
        """Send it; without the lock."""
        ...

    def broke(self, job: J, error: str) -> None:
        """`deliver` raised; without the lock."""
        ...


class Courier(Generic[J]):
    """The thread, and the lock of what waits."""

    def __init__(self, name: str, threads: Threads, deliveries: Deliveries[J]) -> None:
        self._name, self._seam, self._deliveries = name, threads, deliveries
        self.changed: Condition = threads.condition()
        self.is_stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin, or `NoThreadError`."""
        self._thread = self._seam.start(self._name, self._loop)

    def ask_to_stop(self) -> None:
        """Begin no other delivery."""
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()

    def stop(self, timeout_s: float) -> None:
        """Wait for the delivery under way, but not for a receiver that hangs."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _loop(self) -> None:
        while (job := self._next()) is not None:
            try:
                self._deliveries.deliver(job)
            except Exception as error:  # noqa: BLE001 - told and tried again: the thread goes on
                self._deliveries.broke(job, repr(error))

    def _next(self) -> J | None:
        """What comes next, waited for; None when all is over."""
        with self.changed:
            while not self.is_stopping:
                job = self._deliveries.take()
                if job is not None:
                    return job
                self.changed.wait(self._deliveries.sleep_s())
        return None
