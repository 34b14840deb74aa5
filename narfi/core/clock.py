"""What time is it? A clock that is passed in, so that tests decide."""

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """Nanoseconds since the epoch."""

    def now_ns(self) -> int:
        """The present time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """The present time in ns since the epoch."""
        return time.time_ns()


class ManualClock:
    """A clock for tests that moves when told."""

    def __init__(self, now_ns: int) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """The time last set."""
        return self._now_ns

    def advance(self, delta_ns: int) -> None:
        """Move on by `delta_ns`."""
        self._now_ns += delta_ns
