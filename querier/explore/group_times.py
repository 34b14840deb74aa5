"""When were the rows of each group? Kept small, and counted for any buckets.

Times of whole milliseconds, of less than fifty days, take four bytes a row, others eight; the group
of a row takes two bytes, or four where there are many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.clock import NS_PER_MS
from narfi.core.columns import I64
from narfi.core.kernels.bucket_counts import count_in_buckets

MOST_STEPS = 1 << 32
SMALL = 1 << 16


@dataclass(frozen=True, slots=True)
class GroupTimes:
    """n rows: the group of each, and its time as steps of `unit_ns` from `base_ns`."""

    number: NDArray[np.integer]  # uint16 or int32
    steps: NDArray[np.integer]  # uint32 or int64
    base_ns: int
    unit_ns: int

    @staticmethod
    def of(number: NDArray[np.integer], ts: I64, groups: int) -> "GroupTimes":
        """Of rows of so many groups."""
        small: NDArray[np.integer] = (
            number.astype(np.uint16) if groups <= SMALL else number.astype(np.int32)
        )
        if not len(ts):
            return GroupTimes(small, ts, 0, 1)
        base, last = int(ts.min()), int(ts.max())
        if last - base < MOST_STEPS * NS_PER_MS:
            steps, rest = np.divmod(ts - base, NS_PER_MS)
            if not rest.any():
                return GroupTimes(small, steps.astype(np.uint32), base, NS_PER_MS)
        return GroupTimes(small, ts, 0, 1)

    def nbytes(self) -> int:
        """Memory."""
        return self.number.nbytes + self.steps.nbytes

    def count(self, edges: I64, mask: I64, counts: I64) -> None:
        """Add each row to `counts[mask[group], bucket]`.

        Its bucket is the last one of which the edge, ns, is not behind its time, or the first one.
        """
        at = [-(-(edge - self.base_ns) // self.unit_ns) for edge in edges.tolist()]
        most = MOST_STEPS if self.unit_ns > 1 else 2**63 - 1
        bounds = np.array([min(max(one, -(2**63)), most) for one in at], np.int64)
        count_in_buckets(self.number, self.steps, bounds, mask, counts)
