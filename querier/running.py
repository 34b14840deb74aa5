"""Which requests are worked on? They share the memory for queries and end when the server stops."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import Streams
from querier.budget import Budget, Total


class StoppingError(AppError):
    """The server stops, so the request was cancelled (503)."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("the server is stopping; ask again when it is back")


class Running:
    """The budgets of all requests that are worked on or wait; thread-safe."""

    def __init__(self, memory: Total | None = None) -> None:
        self.memory = memory or Total()
        self._lock = threading.Lock()
        self._open: dict[int, Budget] = {}
        self.stopped = False
        self.freed_bytes = 0
        """What all requests that have ended held, each at its peak."""

    @contextmanager
    def one(self, streams: Streams) -> Iterator[Budget]:
        """The budget of a new request that may see these streams; closed behind it.

        It is cancelled already when the server stops.
        """
        found = Budget(self.memory, streams)
        with self._lock:
            self._open[id(found)] = found
            if self.stopped:
                found.cancel()
        try:
            yield found
        finally:
            found.close()
            with self._lock:
                del self._open[id(found)]
                self.freed_bytes += found.peak

    def stop(self) -> None:
        """Cancel all of them, and those that come."""
        with self._lock:
            self.stopped = True
            for found in self._open.values():
                found.cancel()
