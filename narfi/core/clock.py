"""What time is it? A clock that is passed in, so that tests decide."""

import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

MIN_TIME_NS = -(2**61)
"""The earliest time that can be asked for (1896): an earlier one means this."""
MAX_TIME_NS = 2**62
"""The latest time that can be asked for (2116). Between both, sums and differences of times with
`MAX_WINDOW_NS` stay within 64 bits."""
MAX_WINDOW_NS = 2**61
"""A longer window (73 years) holds what one of this length holds."""


def within_time(ts_ns: int) -> int:
    """The nearest time that can be asked for."""
    return min(max(ts_ns, MIN_TIME_NS), MAX_TIME_NS)


def rfc3339(ts_ns: int) -> str:
    """A time for people, to the second."""
    seconds = within_time(ts_ns) // NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
