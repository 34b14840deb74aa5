"""In which order do entries lie in a run? Kernels for (stream, ts, arrival) order, duplicates."""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
B1 = NDArray[np.bool_]


@kernel("void(ci32, int64[::1], int64[::1])", early=True)
def rows_by_stream(stream: I32, next_place: I64, order: I64) -> None:
    """A stable counting sort: `next_place[s]` starts as the first place of stream s.

    Rows of stream -1 are left out.
    """
    for i in range(stream.shape[0]):
        s = stream[i]
        if s >= 0:
            order[next_place[s]] = i
            next_place[s] += 1


@kernel("void(ci64, int64[::1], ci64, boolean[::1])", early=True)
def sort_streams_by_time(ts: I64, order: I64, bounds: I64, unsorted: B1) -> None:
    """Sort each stream's rows by time, keeping arrival order of equal times.

    `bounds` are the first places of the streams, and the end. Streams that are in order already
    (nearly all: a stream has one writer) are only looked at. Runs that interleave are merged as
    insertion from the back, and when that gets long as a merge sort.
    """
    for s in range(bounds.shape[0] - 1):
        low, high = bounds[s], bounds[s + 1]
        moved = 0
        limit = 8 * (high - low) + 64
        for i in range(low + 1, high):
            row = order[i]
            t = ts[row]
            j = i
            while j > low and ts[order[j - 1]] > t:
                order[j] = order[j - 1]
                j -= 1
            order[j] = row
            moved += i - j
            if moved > limit:
                unsorted[s] = True
                break


@kernel("void(ci32, ci64, cu8, ci64, ci32, boolean[::1])")
def mark_equal_neighbours(
    stream: I32, ts: I64, data: U8, start: I64, length: I32, equal: B1
) -> None:
    """`equal[i]`: row i has stream, time and line of some row before it at the same instant.

    Rows are sorted by (stream, ts). Quadratic only in the number of rows of one instant.
    """
    first = 0
    for i in range(1, stream.shape[0]):
        if stream[i] != stream[first] or ts[i] != ts[first]:
            first = i
            continue
        for j in range(first, i):
            if equal[j] or length[j] != length[i]:
                continue
            same = True
            for k in range(length[i]):
                if data[start[j] + k] != data[start[i] + k]:
                    same = False
                    break
            if same:
                equal[i] = True
                break


@kernel("void(ci64, ci64, ci64, int64, int64[::1])")
def first_behind(ts: I64, low: I64, high: I64, edge: int, out: I64) -> None:
    """For each run `low[i] : high[i]` of ascending times the first row at or behind the edge.

    `high[i]` where there is none.
    """
    for i in range(low.shape[0]):
        left, right = low[i], high[i]
        while left < right:
            middle = (left + right) // 2
            if ts[middle] < edge:
                left = middle + 1
            else:
                right = middle
        out[i] = left
