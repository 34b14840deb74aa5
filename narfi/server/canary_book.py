"""Which lines did the canary write, and which of them came back, when, and how often?

Only accounts: `canary.py` writes and asks. A line is looked for by queries as long as the window
goes back, so that it is followed from the head into a block. Times are monotonic seconds.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client import Counter, Gauge, Histogram

from narfi.core.clock import NS_PER_S
from narfi.core.settings import Settings

WRITTEN = Counter("narfi_canary_written_total", "Lines of the canary that were acknowledged.")
FAILURES = Counter(
    "narfi_canary_failures_total",
    "Writes, queries and follows of the canary that were refused or broken.",
    ["what"],
)
MISSING = Counter(
    "narfi_canary_missing_total",
    "Acknowledged lines of the canary that did not come back in canary.late_after.",
    ["by"],
)
LATE = Counter(
    "narfi_canary_late_total",
    "Lines of the canary that a query did not find at once, or a follow told late.",
    ["by"],
)
DUPLICATES = Counter(
    "narfi_canary_duplicates_total", "Lines of the canary that came back again.", ["by"]
)
SECONDS = Histogram(
    "narfi_canary_seconds",
    "What a write, a query of the canary's lines, and the way to a follow took.",
    ["what"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
SUCCESS = Gauge(
    "narfi_canary_last_success_timestamp_seconds",
    "When a round of the canary last ended in which every line was written, found and heard.",
)
ABSENT = Gauge(
    "narfi_canary_absent_lines", "Acknowledged lines that the newest query should have found."
)

Way = Literal["query", "tail"]
What = Literal["write", "query", "tail"]

HOUR_NS = 3600 * NS_PER_S
"""The longest window."""
MOST_LINES = 1000
"""That are looked for at once."""


@dataclass(slots=True, kw_only=True)
class _Line:
    number: int
    ts_ns: int
    at_s: float
    followed: bool  # somebody listened when it was written
    heard: bool = False
    absent: bool = False  # a query did not find it, though it was acknowledged
    again: int = 0  # how often too many it was found
    missed: frozenset[Way] = frozenset()  # counted as missing by these ways


class CanaryBook:
    """The canary's accounts; thread-safe."""

    def __init__(self, *, window_s: float, late_s: float, interval_s: float) -> None:
        self._window_s, self._late_s, self._interval_s = window_s, late_s, interval_s
        self._lock = threading.Lock()
        self._lines: dict[int, _Line] = {}
        self._counts = {"written": 0, "missing": 0, "late": 0, "duplicates": 0, "failures": 0}
        self._errors: dict[str, str] = {}
        self._last: dict[str, float] = {}
        self._began_ns = time.time_ns()
        self._last_ok_ns: int | None = None
        self._absent = 0

    def wrote(self, number: int, ts_ns: int, at_s: float, *, followed: bool) -> None:
        """A line was acknowledged; it was sent at that moment."""
        WRITTEN.inc()
        with self._lock:
            self._counts["written"] += 1
            self._lines[number] = _Line(number=number, ts_ns=ts_ns, at_s=at_s, followed=followed)
            for old in [n for n, line in self._lines.items() if at_s - line.at_s > self._window_s]:
                del self._lines[old]
            while len(self._lines) > MOST_LINES:
                del self._lines[min(self._lines)]

    def took(self, what: What, seconds: float) -> None:
        """A write, a query, or a line's way to a follow went well, and took so long."""
        SECONDS.labels(what).observe(seconds)
        with self._lock:
            self._errors.pop(what, None)
            self._last[what] = round(seconds, 4)

    def failed(self, what: What, error: str) -> None:
        """It did not."""
        FAILURES.labels(what).inc()
        with self._lock:
            self._counts["failures"] += 1
            self._errors[what] = error

    def oldest_ns(self) -> int | None:
        """The time of the oldest line that is looked for."""
        with self._lock:
            return min((line.ts_ns for line in self._lines.values()), default=None)

    def found(self, counts: Mapping[int, int], at_s: float) -> None:
        """How often a query that was asked at that moment found each line."""
        with self._lock:
            absent = 0
            for line in self._lines.values():
                count = counts.get(line.number, 0)
                if not count:
                    absent += 1
                    line.absent = True
                    if at_s - line.at_s > self._late_s:
                        self._misses(line, "query")
                    continue
                if line.absent:
                    line.absent = False
                    self._count("late", LATE, "query")
                for _ in range(count - 1 - line.again):
                    self._count("duplicates", DUPLICATES, "query")
                line.again = max(line.again, count - 1)
            self._absent = absent
            ABSENT.set(absent)

    def heard(self, number: int, at_s: float) -> float | None:
        """A follow told a line; how long it was under way, the first time."""
        with self._lock:
            line = self._lines.get(number)
            if line is None:
                return None
            if line.heard:
                self._count("duplicates", DUPLICATES, "tail")
                return None
            line.heard = True
            seconds = at_s - line.at_s
            if seconds > self._late_s:
                self._count("late", LATE, "tail")
            return seconds

    def ends_round(self, at_s: float) -> None:
        """A round is over: what was not heard in time is missing, and all may be well."""
        with self._lock:
            unheard = 0
            for line in self._lines.values():
                if line.followed and not line.heard and at_s - line.at_s > self._late_s:
                    unheard += 1
                    self._misses(line, "tail")
            if not self._errors and not self._absent and not unheard and self._lines:
                self._last_ok_ns = time.time_ns()
                SUCCESS.set(self._last_ok_ns / 1e9)

    def _misses(self, line: _Line, way: Way) -> None:
        if way not in line.missed:
            line.missed |= {way}
            self._count("missing", MISSING, way)

    def _count(self, name: str, counter: Counter, way: Way) -> None:
        self._counts[name] += 1
        counter.labels(way).inc()

    def is_late(self, now_ns: int) -> bool:
        """Whether no round was well for longer than a few intervals and the time of a late line."""
        since = self._last_ok_ns or self._began_ns
        return now_ns - since > int((3 * self._interval_s + self._late_s) * 1e9)

    def state(self) -> dict[str, Any]:
        """For `/status`: plain data."""
        with self._lock:
            missing = [
                line.number
                for line in self._lines.values()
                if line.absent or (line.missed and not line.heard)
            ]
            return {
                "interval_s": self._interval_s,
                **self._counts,
                "missing_now": missing[:100],
                "last_seconds": dict(self._last),
                "last_success_ns": self._last_ok_ns,
                "errors": dict(self._errors),
            }


def book_of(settings: Settings) -> CanaryBook | None:
    """The accounts, where there is a canary; its lines are followed into their block and beyond."""
    canary = settings.canary
    if not canary.enabled:
        return None
    window_ns = max(2 * settings.ingester.flush_age + 60 * NS_PER_S, 10 * canary.interval)
    return CanaryBook(
        window_s=min(window_ns, HOUR_NS) / NS_PER_S,
        late_s=canary.late_after / NS_PER_S,
        interval_s=canary.interval / NS_PER_S,
    )
