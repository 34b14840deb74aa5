"""Which requests are worked on, so that they can be cancelled when the server stops?"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from narfi.core.errors import AppError, ErrorKind
from querier.query import Cancellation


class StoppingError(AppError):
    """The server stops, so the request was cancelled (503)."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("the server is stopping; ask again when it is back")


class Running:
    """The cancellations of all requests that are worked on or wait; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, Cancellation] = {}
        self.stopped = False

    @contextmanager
    def one(self) -> Iterator[Cancellation]:
        """A new request's cancellation; cancelled already when the server stops."""
        found = Cancellation()
        with self._lock:
            self._open[id(found)] = found
            if self.stopped:
                found.cancel()
        try:
            yield found
        finally:
            with self._lock:
                del self._open[id(found)]

    def stop(self) -> None:
        """Cancel all of them, and those that come."""
        with self._lock:
            self.stopped = True
            for found in self._open.values():
                found.cancel()
