"""How do windows that overlap share their work? Each sample enters and leaves once.

Steps and windows as in windows.py. Samples are sorted by (series, ts); `bounds` are the starts of
the series, and the end. Invariant: the cost grows with samples plus cells, never with samples times
windows.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.quantile import between, is_inside, neighbours, outside

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

SUM, SMALLEST, LARGEST = 0, 1, 2


@kernel(inline=True)
def _count(tree: I32, size: int, rank: int, change: int) -> None:
    """Change how often a rank is in the window (a Fenwick tree over ranks)."""
    place = rank + 1
    while place <= size:
        tree[place] += change
        place += place & -place


@kernel(inline=True)
def _nth(tree: I32, size: int, n: int) -> int:
    """The rank of the n-th smallest in the window."""
    place, rest, width = 0, n, 1
    while width * 2 <= size:
        width *= 2
    while width > 0:
        if place + width <= size and tree[place + width] <= rest:
            place += width
            rest -= tree[place]
        width //= 2
    return place


@kernel(
    "boolean(ci64, ci64, ci32, cf64, int64, int64, int64, float64, int64, int32[::1], int64[::1],"
    " float64[:, ::1])"
)
def slide_quantiles(
    bounds: I64,
    ts: I64,
    rank: I32,
    ordered: F64,
    base: int,
    step: int,
    span: int,
    q: float,
    most: int,
    tree: I32,
    state: I64,
    out: F64,
) -> bool:
    """As `quantiles`; whether all is done, else call again: about `most` samples are moved a call.

    `rank` is the place of each sample among the values of its series, `ordered` are these values
    from the smallest. `tree` has a place more than the longest series; `state` is 5 zeros at first.
    """
    series, steps = bounds.shape[0] - 1, out.shape[1]
    s, k, left, right, begun = state[0], state[1], state[2], state[3], state[4]
    work = 0
    while s < series:
        begin, end = bounds[s], bounds[s + 1]
        size = end - begin
        if begun == 0:
            tree[: size + 1] = 0
            left = right = begin
            begun = 1
        while k < steps and (left < right or right < end):
            upper = base + k * step
            lower = upper - span
            while right < end and ts[right] <= upper and work < most:
                _count(tree, size, rank[right], 1)
                right += 1
                work += 1
            while left < right and ts[left] <= lower and work < most:
                _count(tree, size, rank[left], -1)
                left += 1
                work += 1
            if work >= most:
                state[0], state[1], state[2], state[3], state[4] = s, k, left, right, begun
                return False
            n = right - left
            work += 1
            if n > 0:
                if not is_inside(q):
                    out[s, k] = outside(q)
                else:
                    low, high, weight = neighbours(q, n)
                    below = ordered[begin + _nth(tree, size, low)]
                    above = ordered[begin + _nth(tree, size, high)]
                    out[s, k] = between(below, above, weight)
            k += 1
        s += 1
        k = begun = 0
        work += 1
    return True


@kernel("void(ci64, ci64, cf64, int64, int64, int64, boolean, float64[:, ::1])")
def window_edges(
    bounds: I64, ts: I64, value: F64, base: int, step: int, span: int, newest: bool, out: F64
) -> None:
    """The first or last value of each window; cells without samples are left as they are."""
    steps = out.shape[1]
    for s in range(bounds.shape[0] - 1):
        left = right = bounds[s]
        end = bounds[s + 1]
        for k in range(steps):
            upper = base + k * step
            while right < end and ts[right] <= upper:
                right += 1
            while left < right and ts[left] <= upper - span:
                left += 1
            if left < right:
                out[s, k] = value[right - 1] if newest else value[left]


@kernel("void(ci64, ci64, cf64, int64, int64, int64, float64[::1], float64[:, ::1])")
def counter_rates(
    bounds: I64, ts: I64, value: F64, base: int, step: int, span: int, later: F64, out: F64
) -> None:
    """Per-second increase of a counter, resets corrected, extrapolated to the window's borders.

    One sample gives 0; cells without samples are left as they are (reference/logql.md §10.3).
    `later` has a place per sample. What resets add is summed from a turning point in both
    directions (a queue of two stacks): nothing is subtracted again, no rounding stays behind.
    """
    steps = out.shape[1]
    for s in range(bounds.shape[0] - 1):
        left = right = turn = bounds[s]
        end = bounds[s + 1]
        behind = 0.0  # of the resets in (turn, right)
        for k in range(steps):
            upper = base + k * step
            lower = upper - span
            while right < end and ts[right] <= upper:
                if right > bounds[s] and value[right] < value[right - 1]:
                    behind += value[right - 1]
                right += 1
            while left < right and ts[left] <= lower:
                left += 1
            n = right - left
            if n == 0:
                continue
            if n == 1:
                out[s, k] = 0.0
                continue
            if left > turn:
                total = 0.0
                for j in range(right - 1, left, -1):
                    if value[j] < value[j - 1]:
                        total += value[j - 1]
                    later[j] = total
                turn, behind = right - 1, 0.0
            resets = behind + (later[left + 1] if left < turn else 0.0)
            increase = value[right - 1] - value[left] + resets
            to_start = (ts[left] - lower) / 1e9
            to_end = (upper - ts[right - 1]) / 1e9
            sampled = (ts[right - 1] - ts[left]) / 1e9
            gap = sampled / (n - 1)
            if increase > 0 and value[left] >= 0:
                to_zero = sampled * (value[left] / increase)
                to_start = min(to_start, to_zero)
            threshold = gap * 1.1
            reach = sampled
            reach += to_start if to_start < threshold else gap / 2
            reach += to_end if to_end < threshold else gap / 2
            if sampled > 0:
                out[s, k] = increase * (reach / sampled) / (span / 1e9)
            else:
                out[s, k] = np.nan


@kernel(inline=True)
def _joined(mode: int, a: float, b: float) -> float:
    if mode == 0:
        return a + b
    if np.isnan(a):
        return b
    if np.isnan(b):
        return a
    if mode == 1:
        return b if b < a else a
    return b if b > a else a


@kernel("void(float64[:, ::1], ci64, ci64, int64, float64[::1], float64[:, ::1])")
def fold_buckets(buckets: F64, first: I64, last: I64, mode: int, later: F64, out: F64) -> None:
    """Each window from its buckets `first[k] .. last[k]`, both ascending; modes as named above.

    `later` has a place per bucket; a queue of two stacks as in `counter_rates`.
    """
    empty = 0.0 if mode == 0 else np.nan
    for s in range(buckets.shape[0]):
        right, turn = 0, -1
        behind = empty  # of the buckets in (turn, right)
        for k in range(out.shape[1]):
            low = first[k]
            while right <= last[k]:
                behind = _joined(mode, behind, buckets[s, right])
                right += 1
            if low > turn + 1:
                total = empty
                for j in range(right - 1, low - 1, -1):
                    total = _joined(mode, buckets[s, j], total)
                    later[j] = total
                turn, behind = right - 1, empty
            out[s, k] = _joined(mode, later[low], behind) if low <= turn else behind


@kernel(
    "void(int64[:, ::1], float64[:, ::1], float64[:, ::1], ci64, ci64, float64[:, ::1],"
    " int64[:, ::1], float64[:, ::1])"
)
def fold_moments(
    counts: I64,
    means: F64,
    squares: F64,
    first: I64,
    last: I64,
    later: F64,
    out_counts: I64,
    out_squares: F64,
) -> None:
    """As `fold_buckets`, for counts, means and sums of squared deviations; `later` has 3 rows."""
    for s in range(counts.shape[0]):
        right, turn = 0, -1
        n = mean = square = 0.0
        for k in range(out_counts.shape[1]):
            low = first[k]
            while right <= last[k]:
                n, mean, square = _moments(
                    n, mean, square, float(counts[s, right]), means[s, right], squares[s, right]
                )
                right += 1
            if low > turn + 1:
                n = mean = square = 0.0
                for j in range(right - 1, low - 1, -1):
                    n, mean, square = _moments(
                        float(counts[s, j]), means[s, j], squares[s, j], n, mean, square
                    )
                    later[0, j], later[1, j], later[2, j] = n, mean, square
                turn = right - 1
                n = mean = square = 0.0
            if low <= turn:
                total, _, spread = _moments(
                    later[0, low], later[1, low], later[2, low], n, mean, square
                )
            else:
                total, spread = n, square
            out_counts[s, k] = int(total)
            out_squares[s, k] = spread


@kernel(inline=True)
def _moments(
    n: float, mean: float, square: float, m: float, other: float, more: float
) -> tuple[float, float, float]:
    """The moments of two sets together."""
    if n == 0:
        return m, other, more
    if m == 0:
        return n, mean, square
    both = n + m
    delta = other - mean
    return both, mean + delta * m / both, square + more + delta * delta * n * m / both


@kernel("void(ci32, ci64, cf64, int64[::1], int64[::1], float64[::1])")
def scatter_samples(
    series: I32, ts: I64, value: F64, place: I64, out_ts: I64, out_value: F64
) -> None:
    """Put samples to the places of their series, which move on."""
    for i in range(series.shape[0]):
        at = place[series[i]]
        out_ts[at] = ts[i]
        out_value[at] = value[i]
        place[series[i]] = at + 1
