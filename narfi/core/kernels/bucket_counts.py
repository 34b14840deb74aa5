"""How many rows has each group in each bucket of time?"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.windows import until

I64 = NDArray[np.int64]


@kernel(
    "void(cu16, cu32, ci64, ci64, int64[:, ::1])",
    "void(cu16, ci64, ci64, ci64, int64[:, ::1])",
    "void(ci32, cu32, ci64, ci64, int64[:, ::1])",
    "void(ci32, ci64, ci64, ci64, int64[:, ::1])",
)
def count_in_buckets(
    number: NDArray[np.integer], at: NDArray[np.integer], edges: I64, place: I64, counts: I64
) -> None:
    """Add each row to `counts[place[number], bucket]`; edges ascend.

    The bucket is the last one of which the edge is not behind the row, or the first one. Rows of a
    stream ascend in time: mostly it is that of the row before.
    """
    bucket, low, high = 0, np.int64(1), np.int64(0)
    for row in range(number.shape[0]):
        now = np.int64(at[row])
        if now < low or now > high:
            first = until(edges, 0, edges.shape[0], int(now))
            bucket = max(first - 1, 0)
            low = edges[first - 1] if first else np.int64(-(2**63))
            high = edges[first] - 1 if first < edges.shape[0] else np.int64(2**63 - 1)
        counts[place[number[row]], bucket] += 1
