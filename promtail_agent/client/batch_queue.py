"""Where do batches wait for their turn? In memory, a few of them; then the reading waits.

`Spool` is the other queue: it keeps them on disk.
"""

import queue
import threading
from typing import Protocol

from promtail_agent.client.batch import Batch
from promtail_agent.client.sealed import Sealed, seal

MAX_WAITING_BATCHES = 4
"""When all are taken the files wait. Bounds the memory."""
_WAKE_S = 0.1


class BatchQueue(Protocol):
    """Batches between the reading thread and a sending one, in order."""

    outlives_process: bool
    """Whether what waits is sent after a restart."""

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Take a batch over; False when `stop` was set before there was room."""
        ...

    def take(self, timeout_s: float) -> Sealed | None:
        """The next batch; None when none came in time."""
        ...

    def done(self, sealed: Sealed) -> None:
        """The batch that was taken last is settled."""
        ...

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        ...

    def close(self) -> None:
        """Nothing is put or taken any more."""
        ...


class MemoryQueue:
    """A bounded queue; what is in it is lost when the process ends, and read again."""

    outlives_process = False

    def __init__(self) -> None:
        self._queue: queue.Queue[Batch] = queue.Queue(MAX_WAITING_BATCHES)

    def put(self, batch: Batch, stop: threading.Event) -> bool:
        """Wait for room."""
        while True:
            try:
                self._queue.put(batch, timeout=_WAKE_S)
            except queue.Full:
                if stop.is_set():
                    return False
            else:
                return True

    def take(self, timeout_s: float) -> Sealed | None:
        """Encoded by the sending thread."""
        try:
            return seal(self._queue.get(timeout=timeout_s))
        except queue.Empty:
            return None

    def done(self, sealed: Sealed) -> None:
        """Nothing has to be remembered."""

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._queue.empty()

    def close(self) -> None:
        """Nothing has to be let go."""
