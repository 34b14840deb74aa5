"""Have several tenants asked lately? Then a heavy query of one is in the way of others.

A tenant alone gains little from scan processes, which start, take memory and remember less, so by
default they are used while this is so.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar

LATELY_S = 60.0
"""Dashboards that refresh and alerts ask more often than that."""

_own: ContextVar[bool] = ContextVar("own", default=False)


@contextlib.contextmanager
def asked_by_the_server() -> Iterator[None]:
    """What is asked within is asked by the server itself, which is no tenant."""
    before = _own.set(True)
    try:
        yield
    finally:
        _own.reset(before)


class AskedLately:
    """Tenants that asked something; thread-safe."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._last, self._last_s = "", float("-inf")
        self._other_s = float("-inf")  # when a tenant asked for the last time that is not the last
        self._lock = threading.Lock()

    def note(self, tenant: str) -> None:
        """The tenant asks; not noted within `asked_by_the_server`."""
        if _own.get():
            return
        with self._lock:
            if tenant != self._last:
                self._other_s, self._last = self._last_s, tenant
            self._last_s = self._seconds()

    def are_several(self) -> bool:
        """Whether two tenants asked in the last `LATELY_S` seconds."""
        return self._seconds() - self._other_s < LATELY_S
