"""At which times is a metric query computed, and what does each time look back on?"""

from dataclasses import dataclass, replace

import numpy as np

from narfi.core.clock import MAX_TIME_NS, MAX_WINDOW_NS, MIN_TIME_NS
from narfi.core.columns import I64

ONE: I64 = np.ones(1, np.int64)
"""The weight of samples that count one each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Steps at `start_ns + k * step_ns` for k < steps; windows of `span_ns` shifted by offset.

    Invariant: the steps are times that can be asked for (`MIN_TIME_NS`, `MAX_TIME_NS`).
    """

    start_ns: int
    step_ns: int
    steps: int
    span_ns: int
    offset_ns: int = 0

    @property
    def base_ns(self) -> int:
        """The end of the first window."""
        return self.start_ns - self.offset_ns

    @property
    def window_ns(self) -> int:
        """How far a window reaches back, where that makes a difference."""
        return min(self.span_ns, MAX_WINDOW_NS)

    @property
    def is_beyond_time(self) -> bool:
        """Whether the offset moves a window to where no entry is looked for."""
        last = self.base_ns + (self.steps - 1) * self.step_ns
        return self.base_ns < 2 * MIN_TIME_NS or last > MAX_TIME_NS - MIN_TIME_NS

    @property
    def overlap(self) -> int:
        """In how many windows a sample is, at most."""
        return min(-(-self.window_ns // self.step_ns), self.steps)

    def data_range(self) -> tuple[int, int]:
        """`[start, end)` ns of the entries that any window holds."""
        last = self.base_ns + (self.steps - 1) * self.step_ns
        return self.base_ns - self.window_ns + 1, last + 1

    def around(self, min_ts: int, max_ts: int) -> tuple["Grid", int]:
        """(the steps between which, or in whose windows, the times lie; the number of the first).

        A source of an hour needs no cells for the other steps of a month.
        """
        ahead, behind = min_ts - self.base_ns, max_ts - self.base_ns
        first = max(-(-ahead // self.step_ns) - 1, 0)
        last = max(-(-behind // self.step_ns), (behind + self.window_ns - 1) // self.step_ns)
        first = min(first, self.steps - 1)
        last = min(max(last, first), self.steps - 1)
        start_ns = self.start_ns + first * self.step_ns
        return replace(self, start_ns=start_ns, steps=last - first + 1), first
