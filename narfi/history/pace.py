"""How fast may an import be? So many bytes and queries a second, whatever the network allows.

A bucket fills with time up to one second's worth; who takes more than is in it waits until the debt
is paid. So over any time t no more than rate * (t + 1 s) is taken, plus the last piece.
"""

import time
from collections.abc import Callable

from narfi.history.page import Sleep


class Pace:
    """A token bucket; `rate` per second, 0: no limit. For one thread."""

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._have, self._at = rate, clock()

    def take(self, amount: float) -> None:
        """Wait until so much may be taken."""
        if not self._rate:
            return
        now = self._clock()
        self._have = min(self._rate, self._have + (now - self._at) * self._rate)
        self._at = now
        self._have -= amount
        if self._have < 0:
            self._sleep(-self._have / self._rate)
