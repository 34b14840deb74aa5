"""How many bytes may all requests in flight hold? One budget; what has no room is refused at once.

Nobody waits for room: a refusal costs nothing, a waiting request would hold what it has already.
Invariant: what a `Charge` took is given back when it is closed, once, whoever still works for it.
"""

import threading
from collections.abc import Mapping
from typing import Any

from prometheus_client import Gauge

from narfi.core.errors import AppError, ErrorKind

RETRY_AFTER_S = 1
"""What clients are told to wait: bodies come and go in parts of a second."""

SCOPE_KEY = "narfi.charge"
"""Where an ASGI scope holds the charge of its request."""

IN_FLIGHT_BYTES = Gauge(
    "narfi_inflight_request_bytes",
    "Bytes of requests that are being received or worked on, decompressed ones too.",
)


class BusyError(AppError):
    """All that may be in flight is: the client shall come again (503)."""

    kind = ErrorKind.UNAVAILABLE


class TooCostlyError(AppError):
    """One request alone would take more than all may (413)."""

    kind = ErrorKind.TOO_LARGE


class InFlight:
    """The bytes of all requests that are received or worked on; thread-safe."""

    def __init__(self, most: int) -> None:
        self._most, self._used = most, 0
        self._lock = threading.Lock()
        IN_FLIGHT_BYTES.set_function(lambda: self._used)

    @property
    def used(self) -> int:
        """Bytes taken now."""
        return self._used

    @property
    def most(self) -> int:
        """Bytes that all requests may take."""
        return self._most

    def open(self) -> "Charge":
        """The charge of a new request; nothing is taken yet."""
        return Charge(self)

    def take(self, size: int) -> None:
        """Take bytes; raises `BusyError` and takes none when there is no room."""
        with self._lock:
            if self._used + size > self._most:
                message = (
                    f"too much is in flight: {self._used} bytes of requests, {size} more would "
                    f"pass server.max_inflight_bytes ({self._most}); try again in a moment"
                )
                raise BusyError(message)
            self._used += size

    def give(self, size: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._used -= size


class Charge:
    """What one request holds of the budget; thread-safe."""

    __slots__ = ("_budget", "_closed", "_held", "_lock")

    def __init__(self, budget: InFlight | None) -> None:
        self._budget, self._held, self._closed = budget, 0, False
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take that many bytes more; raises `BusyError` and `TooCostlyError`."""
        if self._budget is None:
            return
        with self._lock:
            if self._held + size > self._budget.most:
                message = (
                    f"the request takes {self._held + size} bytes decompressed and decoded, more "
                    f"than server.max_inflight_bytes ({self._budget.most}); send it in parts"
                )
                raise TooCostlyError(message)
            if not self._closed:
                self._budget.take(size)
                self._held += size

    def __enter__(self) -> "Charge":
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; what is taken afterwards is not counted."""
        with self._lock:
            if self._budget is not None and self._held:
                self._budget.give(self._held)
            self._held, self._closed = 0, True


FREE = Charge(None)
"""Counts nothing: for callers inside the process."""


def charge_of(scope: Mapping[str, Any]) -> Charge:
    """The charge of an ASGI request; `FREE` where none was opened."""
    found = scope.get(SCOPE_KEY, FREE)
    assert isinstance(found, Charge)
    return found
