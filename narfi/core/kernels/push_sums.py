"""How much is in a push, and how old and long are its entries? All sums in one pass."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

LINE_BYTES, RATED, OLDEST, NEWEST, LONGEST = range(5)
"""Places in `whole`."""


@kernel("void(ci32, ci64, ci32, ci64, int64, int64[::1], int64[::1], int64[::1])", early=True)
def sum_push(
    stream: I32,
    ts: I64,
    length: I32,
    more: I64,
    least: int,
    entries: I64,
    rated: I64,
    whole: I64,
) -> None:
    """Add each entry to its stream's `entries` and `rated` (zeros before), and fill `whole`.

    `more`: further bytes of each entry, or empty; an entry is rated `least` bytes at least.
    """
    total = rates = longest = 0
    oldest, newest = 2**63 - 1, -(2**63)
    has_more = more.shape[0] > 0
    for k in range(stream.shape[0]):
        size, at = int(length[k]), int(ts[k])
        total += size
        longest = max(longest, size)
        oldest, newest = min(oldest, at), max(newest, at)
        if has_more:
            size += int(more[k])
        size = max(size, least)
        rates += size
        entries[stream[k]] += 1
        rated[stream[k]] += size
    whole[LINE_BYTES], whole[RATED] = total, rates
    whole[OLDEST], whole[NEWEST], whole[LONGEST] = oldest, newest, longest
